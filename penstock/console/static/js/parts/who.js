// Who a key is: its name, permissions and communities.
// @ts-check
import * as api from "../api.js";
import { me, session, chooseCommunity } from "../state.js";

/** Fills `me`. Raises the service's Problem if the key is not known. */
export async function who(token) {
  const { name, permissions, communities, unencrypted_exports: mayBePlain } = await api.me(token);
  Object.assign(me, { name, permissions, communities, mayBePlain });
  if (!communities.some((one) => one.uuid === session.community)) chooseCommunity(communities[0]?.uuid ?? "");
}
