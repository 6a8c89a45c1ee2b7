"""What an event says of itself: base fields, event, log, error, agent, tracing, related, labels, data streams."""

SETS = {
    "base": """
        @timestamp               date      When the event happened.
        message                  text      The event's own words, as a person would read them.
        tags                     keyword[] Words that tag the event.
        labels                   json      Custom key and value pairs; usually dotted names `labels.*`.
    """,
    "agent": """
        build.original           keyword   Build of the agent, all in one string.
        ephemeral_id             keyword   Identifier of this run of the agent.
        id                       keyword   Identifier of the agent; outlives restarts.
        name                     keyword   Name of the agent.
        type                     keyword   Kind of agent, such as filebeat.
        version                  keyword   Version of the agent.
    """,
    "data_stream": """
        dataset                  keyword   Data set of the stream.
        namespace                keyword   Namespace of the stream.
        type                     keyword   Kind of stream: logs, metrics, traces.
    """,
    "ecs": """
        version                  keyword   Version of ECS the event follows.
    """,
    "error": """
        code                     keyword   Code of the error.
        id                       keyword   Identifier of the error.
        message                  text      Message of the error.
        stack_trace              text      Stack trace in plain text.
        type                     keyword   Type of the error, such as the class of the exception.
    """,
    "event": """
        action                   keyword   What was done, as the source says it.
        agent_id_status          keyword   Whether the agent's identity was verified.
        category                 keyword[] Categories: authentication, network, process, file, web …
        code                     keyword   Code of the event at its source, such as a Windows event id.
        created                  date      When the agent or pipeline first read the event.
        dataset                  keyword   Data set the event belongs to.
        duration                 long      Duration in nanoseconds.
        end                      date      When the event ended.
        hash                     keyword   Hash of the raw event, for its integrity.
        id                       keyword   Unique identifier of the event.
        ingested                 date      When the event arrived in the central store.
        kind                     keyword   Kind: event, alert, metric, state, signal …
        module                   keyword   Module that collected the event.
        original                 text      The raw event, unchanged.
        outcome                  keyword   success, failure or unknown.
        provider                 keyword   Source of the event, such as a Windows provider.
        reason                   keyword   Why it happened, as the source says it.
        reference                keyword   URL with more about the event.
        risk_score               double    Risk of the event, as the source scores it.
        risk_score_norm          double    Risk of the event on a scale from 0 to 100.
        sequence                 long      Sequence number at the source.
        severity                 long      Severity, as the source numbers it.
        start                    date      When the event began.
        timezone                 keyword   Time zone of the source.
        type                     keyword[] Sub-categories: start, end, allowed, denied, info, change …
        url                      keyword   URL to look at the event in its source system.
    """,
    "group": """
        domain                   keyword   Directory the group belongs to.
        id                       keyword   Identifier of the group.
        name                     keyword   Name of the group.
    """,
    "log": """
        file.path                keyword   Path of the log file.
        level                    keyword   Severity the log line names.
        logger                   keyword   Logger that wrote the line.
        origin.file.line         long      Line of code that logged.
        origin.file.name         keyword   Source file that logged.
        origin.function          keyword   Function that logged.
        syslog                   json      Syslog metadata; usually its dotted fields.
        syslog.appname           keyword   Application named in the syslog header.
        syslog.facility.code     long      Syslog facility as a number.
        syslog.facility.name     keyword   Syslog facility as a word.
        syslog.hostname          keyword   Host named in the syslog header.
        syslog.msgid             keyword   Message id of the syslog header.
        syslog.priority          long      Syslog priority.
        syslog.procid            keyword   Process id of the syslog header.
        syslog.severity.code     long      Syslog severity as a number.
        syslog.severity.name     keyword   Syslog severity as a word.
        syslog.structured_data   json      Structured data of the syslog header.
        syslog.version           keyword   Version of the syslog protocol.
    """,
    "related": """
        hash                     keyword[] Every hash seen in the event.
        hosts                    keyword[] Every host name seen in the event.
        ip                       keyword[] Every IP address seen in the event.
        user                     keyword[] Every user name seen in the event.
    """,
    "rule": """
        author                   keyword[] Authors of the rule that matched.
        category                 keyword   Category of the rule.
        description              keyword   What the rule is about.
        id                       keyword   Identifier of the rule, unique within its engine.
        license                  keyword   Licence of the rule.
        name                     keyword   Name of the rule.
        reference                keyword   URL with more about the rule.
        ruleset                  keyword   Set, policy or group the rule belongs to.
        uuid                     keyword   Identifier of the rule, unique everywhere.
        version                  keyword   Version of the rule.
    """,
    "service": """
        address                  keyword   Address at which the service was reached.
        environment              keyword   Environment of the service, such as production.
        ephemeral_id             keyword   Identifier of this run of the service.
        id                       keyword   Identifier of the service.
        name                     keyword   Name of the service.
        node.name                keyword   Name of the node that runs the service.
        node.role                keyword   Role of the node.
        node.roles               keyword[] Roles of the node.
        state                    keyword   State of the service.
        type                     keyword   Kind of service, such as elasticsearch.
        version                  keyword   Version of the service.
    """,
    "package": """
        architecture             keyword   Processor architecture of the package.
        build_version            keyword   Build of the package.
        checksum                 keyword   Checksum of the package.
        description              keyword   What the package is.
        install_scope            keyword   Whether it is installed for the user or for all.
        installed                date      When the package was installed.
        license                  keyword   Licence of the package.
        name                     keyword   Name of the package.
        path                     keyword   Where the package is installed.
        reference                keyword   Home page of the package.
        size                     long      Size of the package in bytes.
        type                     keyword   Kind of package: rpm, deb, npm …
        version                  keyword   Version of the package.
    """,
    "span": """
        id                       keyword   Identifier of the span within its trace.
    """,
    "trace": """
        id                       keyword   Identifier of the trace.
    """,
    "transaction": """
        id                       keyword   Identifier of the transaction within its trace.
    """,
}
