// A task in words: its state, its destination, who asked.
// @ts-check
import { ms, plain } from "../format.js";

/** @param {import("penstock-api").Task} task */
export function stateOf(task) {
  if (task.status === "FINISHED") return task.attributes.expire_at && ms(task.attributes.expire_at) <= Date.now() ? "expired" : "ready";
  return task.status.toLowerCase();
}

export const destinationWords = (destination) => (destination === "service" ? "Penstock" : plain(destination));

export const whoOf = (task) => plain(task.attributes.created_by_name ?? "");
