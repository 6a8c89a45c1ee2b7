"""What threatens: indicators, enrichments, tactics and techniques, vulnerabilities."""

SETS = {
    "threat": """
        enrichments              json      Indicators that matched, an array of objects.
        feed.dashboard_id        keyword   Dashboard of the feed.
        feed.description         keyword   What the feed is.
        feed.name                keyword   Name of the feed.
        feed.reference           keyword   URL with more about the feed.
        framework                keyword   Framework, such as MITRE ATT&CK.
        group.alias              keyword[] Other names of the group.
        group.id                 keyword   Identifier of the group.
        group.name               keyword   Name of the group.
        group.reference          keyword   URL with more about the group.
        software.alias           keyword[] Other names of the software.
        software.id              keyword   Identifier of the software.
        software.name            keyword   Name of the software.
        software.platforms       keyword[] Platforms of the software.
        software.reference       keyword   URL with more about the software.
        software.type            keyword   Malware or Tool.
        tactic.id                keyword[] Identifiers of the tactics.
        tactic.name              keyword[] Names of the tactics.
        tactic.reference         keyword[] URLs with more about the tactics.
        technique.id             keyword[] Identifiers of the techniques.
        technique.name           keyword[] Names of the techniques.
        technique.reference      keyword[] URLs with more about the techniques.
        technique.subtechnique.id keyword[] Identifiers of the sub-techniques.
        technique.subtechnique.name keyword[] Names of the sub-techniques.
        technique.subtechnique.reference keyword[] URLs with more about the sub-techniques.
    """,
    "threat.indicator": """
        confidence               keyword   Confidence in the indicator: None, Low, Medium, High.
        description              keyword   What the indicator is.
        email.address            keyword   Mail address that is an indicator.
        first_seen               date      When the indicator was first seen.
        id                       keyword[] Identifiers of the indicator.
        ip                       ip        IP address that is an indicator.
        last_seen                date      When the indicator was last seen.
        marking.tlp              keyword   Traffic light protocol colour.
        marking.tlp_version      keyword   Version of the traffic light protocol.
        modified_at              date      When the indicator was last changed.
        name                     keyword   Name of the indicator for people.
        port                     long      Port that is an indicator.
        provider                 keyword   Who provided the indicator.
        reference                keyword   URL with more about the indicator.
        scanner_stats            long      Scanners that called it malicious.
        sightings                long      Times the indicator was seen.
        type                     keyword   Kind of indicator: file, url, ipv4-addr …
    """,
    "threat.enrichments.matched": """
        atomic                   keyword   Value that matched.
        field                    keyword   Field that matched.
        id                       keyword   Identifier of the indicator that matched.
        index                    keyword   Index of the indicator that matched.
        occurred                 date      When it matched.
        type                     keyword   Kind of match.
    """,
    "vulnerability": """
        category                 keyword[] Categories of the vulnerability.
        classification           keyword   Scheme of the score, such as CVSS.
        description              keyword   What the vulnerability is.
        enumeration              keyword   Scheme of the identifier, such as CVE.
        id                       keyword   Identifier, such as CVE-2021-44228.
        reference                keyword   URL with more about the vulnerability.
        report_id                keyword   Identifier of the scan's report.
        scanner.vendor           keyword   Vendor of the scanner.
        score.base               double    Base score.
        score.environmental      double    Environmental score.
        score.temporal           double    Temporal score.
        score.version            keyword   Version of the score.
        severity                 keyword   Severity in words.
    """,
}
