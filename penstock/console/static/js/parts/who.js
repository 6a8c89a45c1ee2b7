// Who a key is: its name, permissions and communities.
// @ts-check
import * as api from "../api.js";
import { me, session, chooseCommunity } from "../state.js";

/** Fills `me`. Raises the service's Problem if the key is not known. */
export async function who(token) {
  const [mine, page] = await Promise.all([api.ifKnown(api.me(token)), api.communities(token)]);
  me.name = mine?.name ?? "";
  me.permissions = mine?.permissions ?? null;
  me.communities = page.items.filter((one) => one.reachable);
  if (!me.communities.some((one) => one.uuid === session.community)) chooseCommunity(me.communities[0]?.uuid ?? "");
}
