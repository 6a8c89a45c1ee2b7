"""`penstock keys`: the master keys that seal secrets, rotated in one step on one machine, in two on several.

Each process seals with the first key it was started with and opens with all it knows. So a key is first known to all of
them, then active; and it goes when nothing is sealed with it any more and no process seals with it.
"""

from __future__ import annotations

from penstock import errors
from penstock import settings as settings_module
from penstock.cli import output, tables
from penstock.cli.commands import local, operator
from penstock.cli.options import administering
from penstock.control import secrets


def keys_list(options: administering.KeysList) -> None:
    """Shows which key is active, and how many secrets are sealed with each."""
    keys = secrets.MasterKeys.load(local.settings())
    with operator.database() as database, database.read() as tx:
        sealed = secrets.sealed_by_key(tx)
    found = [_described(name, keys, sealed.get(name, 0)) for name in (*keys.ids, *sorted(set(sealed) - set(keys.ids)))]
    if options.as_json:
        output.emit_json(found)
    else:
        tables.table(["KEY", "STATE", "SECRETS"], [[one["key"], one["state"], one["secrets"]] for one in found])


def _described(name: str, keys: secrets.MasterKeys, sealed: int) -> dict[str, str | int]:
    if name not in keys.ids:
        state = "missing"  # and exports wait for it
    else:
        state = "active" if name == keys.active_id else "known"
    return {"key": name, "state": state, "secrets": sealed}


def keys_add(options: administering.KeysAdd) -> None:
    """Adds a key that opens and does not seal yet."""
    settings = local.settings()
    keys = secrets.MasterKeys.load(settings).with_known()
    then = f"Once every process was started with it: penstock keys activate {keys.ids[-1]}."
    _keep(settings, keys, "master_key.added", keys.ids[-1], then, as_json=options.as_json)


def keys_activate(options: administering.KeysActivate) -> None:
    """Makes a known key the one that seals."""
    settings = local.settings()
    keys = secrets.MasterKeys.load(settings).with_active(options.key)
    then = "Once every process was started with it: penstock keys reseal."
    _keep(settings, keys, "master_key.activated", keys.active_id, then, as_json=options.as_json)


def keys_reseal(options: administering.KeysReseal) -> None:
    """Seals the secrets of active exports with the active key."""
    keys = secrets.MasterKeys.load(local.settings())
    resealed = _reseal(keys, "master_key.resealed")
    if options.as_json:
        output.emit_json({"active": keys.active_id, "resealed": resealed})
    else:
        output.say(f"{resealed} secrets were sealed again, with {keys.active_id}.")
        output.note("Is an old key still in use? penstock keys list")


def keys_drop(options: administering.KeysDrop) -> None:
    """Forgets a key that nothing is sealed with."""
    settings = local.settings()
    keys = secrets.MasterKeys.load(settings).without(options.key)
    with operator.database() as database, database.read() as tx:
        sealed = secrets.sealed_by_key(tx).get(options.key, 0)
    if sealed:
        raise errors.Conflict(
            "master_key_in_use",
            f"{sealed} secrets of active exports are sealed with the key {options.key!r}.",
            "Seal them again first: penstock keys reseal. Nothing was changed.",
        )
    then = "Processes that were started before still know it."
    _keep(settings, keys, "master_key.dropped", options.key, then, as_json=options.as_json)


def keys_rotate(options: administering.KeysRotate) -> None:
    """All steps at once, for the processes of one machine, which read one file: they open with the new key at once."""
    settings = local.settings()
    before = secrets.MasterKeys.load(settings)
    keys = before.rotated()
    # Keys from the setting lie in the operator's secret store, which must know the new one before it seals anything.
    if settings.master_key.reveal():
        _show(keys, "Restart all processes at once, or rotate in steps: penstock keys add.", as_json=options.as_json)
        return
    keys.save(settings.home)  # before anything is sealed with the new key: a crash must not leave it unreadable
    resealed = _reseal(keys, "master_key.rotated")
    with operator.database() as database, database.read() as tx:
        # What runs now seals with the key it was started with: that one stays until the next rotation.
        kept = keys.without_unused(secrets.key_ids_in_use(tx) | {before.active_id})
    kept.save(settings.home)
    if options.as_json:
        output.emit_json({"saved": True, "active": kept.active_id, "keys": kept.ids, "resealed": resealed})
    else:
        output.say(f"The active sealing key is {kept.active_id}; {resealed} secrets were resealed.")
        output.note(f"Once all processes were restarted: penstock keys reseal, penstock keys drop {before.active_id}.")


def _reseal(keys: secrets.MasterKeys, action: str) -> int:
    with operator.database() as database, database.begin() as tx:
        resealed = secrets.reseal_all(tx, keys)
        operator.record(tx, action, community_uuid=None, object_uuid=keys.active_id, detail={"resealed": resealed})
    return resealed


def _keep(
    settings: settings_module.Settings, keys: secrets.MasterKeys, action: str, key_id: str, then: str, *, as_json: bool
) -> None:
    """Saves changed keys in the home's file, or shows them where the setting holds them."""
    if settings.master_key.reveal():
        _show(keys, then, as_json=as_json)
        return
    keys.save(settings.home)
    with operator.database() as database, database.begin() as tx:
        operator.record(tx, action, community_uuid=None, object_uuid=key_id)
    if as_json:
        output.emit_json({"saved": True, "active": keys.active_id, "keys": keys.ids})
    else:
        output.say(f"The active sealing key is {keys.active_id}; known: {', '.join(keys.ids)}.")
        output.note(then)


def _show(keys: secrets.MasterKeys, then: str, *, as_json: bool) -> None:
    text = keys.text().strip().replace("\n", ",")
    if as_json:
        output.emit_json({"saved": False, "active": keys.active_id, "keys": keys.ids, "master_key": text})
    else:
        output.note(f"PENSTOCK_MASTER_KEY is set: put this value there and restart every process. {then}")
        output.say(text)
