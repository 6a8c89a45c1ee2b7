"""The words of the wide stream: makers, what they make, what their events are about. All made up."""

from __future__ import annotations

MAKERS = (
    *("Alderwall", "Brinkgate", "Calderport", "Dunmere", "Eastfold", "Fernlock", "Glasswick", "Harrowby"),
    *("Ironmoor", "Juniperhill", "Kestrelbay", "Lowfield", "Marlstone", "Nettlecomb", "Oakhaven", "Pinebarrow"),
)

PRODUCTS = (
    ("firewall", "network", ("allow", "deny", "drop", "reset")),
    ("vpn", "network", ("connect", "disconnect", "renew", "refuse")),
    ("mailgate", "email", ("delivered", "quarantined", "bounced", "rewritten")),
    ("endpoint", "process", ("started", "blocked", "terminated", "injected")),
    ("directory", "iam", ("added", "removed", "changed", "locked")),
    ("signon", "authentication", ("success", "failure", "challenge", "timeout")),
    ("proxy", "web", ("GET", "POST", "CONNECT", "PUT")),
    ("cloudaudit", "configuration", ("CreateKey", "DeleteRole", "PutPolicy", "AssumeRole")),
    ("scanner", "vulnerability", ("found", "fixed", "ignored", "reopened")),
    ("sensor", "intrusion_detection", ("alert", "pass", "reject", "log")),
    ("storage", "file", ("read", "write", "rename", "delete")),
    ("database", "database", ("SELECT", "GRANT", "UPDATE", "LOGIN")),
    ("container", "host", ("pull", "exec", "kill", "mount")),
    ("switch", "network", ("up", "down", "flap", "learn")),
    ("badge", "session", ("open", "refused", "forced", "held")),
    ("dlp", "file", ("copied", "printed", "uploaded", "masked")),
)
"""What is made: its name, its `event.category`, what it does."""

GROUPS = (
    *("session", "policy", "device", "rule", "flow", "meta", "threat", "payload", "request", "response", "actor"),
    *("target", "context", "geo", "tunnel", "client", "server", "agent", "scan", "object", "change", "risk"),
)

LEAVES = (
    *("id", "name", "type", "state", "level", "score", "count", "bytes", "duration", "reason", "version", "zone"),
    *("address", "port", "path", "label", "tags", "code", "status", "owner", "parent", "created", "expires", "mode"),
    *("hits", "ratio", "flags", "scope", "source", "result", "index", "group", "profile", "serial", "vendorData"),
)

VERBS = ("matched", "inspected", "forwarded", "evaluated", "recorded", "suppressed", "raised", "correlated", "closed")
NOUNS = (
    *("the session", "a policy of the branch office", "the inbound tunnel", "an unsigned driver", "the mailbox rule"),
    *("a service account", "the scheduled task", "an outdated certificate", "le poste de travail", "die Anmeldung"),
    *("the share with quarterly reports", "a container image", "the backup window", "two neighbouring hosts"),
)
ENDS = (
    *("because no rule says otherwise", "after three attempts", "within the window of the last change"),
    *("as the operator had asked", "although the device was not enrolled", "during the nightly run"),
    *("sans intervention de l’utilisateur", "nach Prüfung der Signatur", "before the lease was over"),
)
