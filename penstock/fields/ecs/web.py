"""The web: URL, HTTP, TLS, user agents."""

SETS = {
    "url": """
        domain                   keyword   Domain of the URL.
        extension                keyword   Extension of the path, without the dot.
        fragment                 keyword   Part after `#`.
        full                     keyword   The whole URL.
        original                 keyword   The URL as the source wrote it.
        password                 keyword   Password in the URL.
        path                     keyword   Path of the URL.
        port                     long      Port of the URL.
        query                    keyword   Query string, without `?`.
        registered_domain        keyword   Registered part of the domain.
        scheme                   keyword   Scheme, such as https.
        subdomain                keyword   Part before the registered domain.
        top_level_domain         keyword   Effective top-level domain.
        username                 keyword   User name in the URL.
    """,
    "http": """
        request.body.bytes       long      Bytes of the request's body.
        request.body.content     keyword   The request's body.
        request.bytes            long      Bytes of the request, headers included.
        request.id               keyword   Identifier of the request.
        request.method           keyword   Method: GET, POST …
        request.mime_type        keyword   MIME type of the request's body.
        request.referrer         keyword   Page that led to the request.
        response.body.bytes      long      Bytes of the response's body.
        response.body.content    keyword   The response's body.
        response.bytes           long      Bytes of the response, headers included.
        response.mime_type       keyword   MIME type of the response's body.
        response.status_code     long      Status code.
        version                  keyword   Version of HTTP.
    """,
    "tls": """
        cipher                   keyword   Cipher suite in use.
        client.certificate       keyword   Client's certificate, PEM.
        client.certificate_chain keyword[] Client's certificate chain, PEM.
        client.hash.md5          keyword   MD5 of the client's certificate.
        client.hash.sha1         keyword   SHA-1 of the client's certificate.
        client.hash.sha256       keyword   SHA-256 of the client's certificate.
        client.issuer            keyword   Issuer of the client's certificate.
        client.ja3               keyword   JA3 fingerprint of the client.
        client.not_after         date      When the client's certificate ends.
        client.not_before        date      When the client's certificate begins.
        client.server_name       keyword   Server name asked for (SNI).
        client.subject           keyword   Subject of the client's certificate.
        client.supported_ciphers keyword[] Ciphers the client offers.
        curve                    keyword   Elliptic curve in use.
        established              boolean   Whether the handshake succeeded.
        next_protocol            keyword   Protocol agreed on (ALPN).
        resumed                  boolean   Whether an earlier session was resumed.
        server.certificate       keyword   Server's certificate, PEM.
        server.certificate_chain keyword[] Server's certificate chain, PEM.
        server.hash.md5          keyword   MD5 of the server's certificate.
        server.hash.sha1         keyword   SHA-1 of the server's certificate.
        server.hash.sha256       keyword   SHA-256 of the server's certificate.
        server.issuer            keyword   Issuer of the server's certificate.
        server.ja3s              keyword   JA3S fingerprint of the server.
        server.not_after         date      When the server's certificate ends.
        server.not_before        date      When the server's certificate begins.
        server.subject           keyword   Subject of the server's certificate.
        version                  keyword   Version of TLS or SSL.
        version_protocol         keyword   tls or ssl.
    """,
    "user_agent": """
        device.name              keyword   Device of the user agent.
        name                     keyword   Name of the user agent.
        original                 keyword   The user agent's whole string.
        version                  keyword   Version of the user agent.
    """,
}
