"""Where traffic goes: source and destination, client and server, network, DNS, interfaces, observers."""

_ENDPOINT = """
        address                  keyword   Address of the {0} as it came: IP, host name or socket.
        bytes                    long      Bytes sent by the {0}.
        domain                   keyword   Host name of the {0}.
        ip                       ip        IP address of the {0}.
        mac                      keyword   MAC address of the {0}.
        nat.ip                   ip        IP address of the {0} after translation.
        nat.port                 long      Port of the {0} after translation.
        packets                  long      Packets sent by the {0}.
        port                     long      Port of the {0}.
        registered_domain        keyword   Registered part of the {0}'s domain.
        subdomain                keyword   Part of the {0}'s domain before the registered one.
        top_level_domain         keyword   Effective top-level domain of the {0}.
"""

SETS = {
    "source": _ENDPOINT.format("source"),
    "destination": _ENDPOINT.format("destination"),
    "client": _ENDPOINT.format("client"),
    "server": _ENDPOINT.format("server"),
    "network": """
        application              keyword   Application recognised in the traffic.
        bytes                    long      Bytes in both directions.
        community_id             keyword   Community ID: hash of the flow's addresses and ports.
        direction                keyword   inbound, outbound, internal, external, ingress, egress or unknown.
        forwarded_ip             ip        Address of the first client of a forwarded request.
        iana_number              keyword   Protocol number of IANA.
        inner                    json      Headers of traffic within the traffic (tunnels, VLAN in VLAN).
        name                     keyword   Name of the network segment.
        packets                  long      Packets in both directions.
        protocol                 keyword   Application protocol: http, dns, tls …
        transport                keyword   Transport protocol: tcp, udp, icmp …
        type                     keyword   Network protocol: ipv4, ipv6, ipsec …
    """,
    "dns": """
        answers                  json      Records of the answer, an array of objects.
        answers.class            keyword   Class of the answer's record.
        answers.data             keyword   Data of the answer's record.
        answers.name             keyword   Name the answer's record is about.
        answers.ttl              long      Seconds the record may be kept.
        answers.type             keyword   Type of the answer's record.
        header_flags             keyword[] Flags of the DNS header.
        id                       keyword   Identifier of the query.
        op_code                  keyword   Operation of the query.
        question.class           keyword   Class asked for.
        question.name            keyword   Name asked for.
        question.registered_domain keyword Registered part of the name asked for.
        question.subdomain       keyword   Part before the registered domain.
        question.top_level_domain keyword  Effective top-level domain of the name asked for.
        question.type            keyword   Type of record asked for: A, AAAA, MX …
        resolved_ip              keyword[] Every IP address in the answers.
        response_code            keyword   Response code: NOERROR, NXDOMAIN …
        type                     keyword   query or answer.
    """,
    "interface": """
        alias                    keyword   Alias of the interface.
        id                       keyword   Identifier of the interface.
        name                     keyword   Name of the interface.
    """,
    "vlan": """
        id                       keyword   VLAN id.
        name                     keyword   VLAN name.
    """,
    "observer": """
        egress                   json      Interface, zone and VLAN the traffic leaves by.
        egress.zone              keyword   Zone the traffic leaves by.
        hostname                 keyword   Host name of the observer.
        ingress                  json      Interface, zone and VLAN the traffic comes in by.
        ingress.zone             keyword   Zone the traffic comes in by.
        ip                       keyword[] IP addresses of the observer.
        mac                      keyword[] MAC addresses of the observer.
        name                     keyword   Name given to the observer.
        product                  keyword   Product of the observer.
        serial_number            keyword   Serial number of the observer.
        type                     keyword   Kind of observer: firewall, ids, proxy …
        vendor                   keyword   Vendor of the observer.
        version                  keyword   Version of the observer.
    """,
    "as": """
        number                   long      Number of the autonomous system.
        organization.name        keyword   Organisation that holds the autonomous system.
    """,
    "geo": """
        city_name                keyword   City.
        continent_code           keyword   Two letters for the continent.
        continent_name           keyword   Continent.
        country_iso_code         keyword   ISO 3166-1 code of the country.
        country_name             keyword   Country.
        location                 json      Longitude and latitude.
        name                     keyword   Name given to the place.
        postal_code              keyword   Postal code.
        region_iso_code          keyword   ISO 3166-2 code of the region.
        region_name              keyword   Region.
        timezone                 keyword   Time zone of the place.
    """,
}
