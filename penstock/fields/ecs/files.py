"""Files and what they are made of: file, hash, signatures, executables, certificates, registry, libraries."""

_SECTIONS = """
        sections                 json      Sections, an array of objects.
        sections.entropy         long      Entropy of the section.
        sections.name            keyword   Name of the section.
        sections.physical_size   long      Size of the section in the file.
        sections.var_entropy     long      Variance of the section's entropy.
        sections.virtual_size    long      Size of the section in memory.
"""

_GO = """
        go_import_hash           keyword   Hash of the Go imports.
        go_imports               json      Go imports; usually dotted names.
        go_imports_names_entropy long      Entropy of the names of the Go imports.
        go_imports_names_var_entropy long  Variance of that entropy.
        go_stripped              boolean   Whether the Go symbols are stripped.
        import_hash              keyword   Hash of the imports.
"""

_NAMES = """
        imports_names_entropy    long      Entropy of the names of the imports.
        imports_names_var_entropy long     Variance of that entropy.
"""

SETS = {
    "file": """
        accessed                 date      When the file was last accessed.
        attributes               keyword[] Attributes: readonly, hidden, system …
        created                  date      When the file was created.
        ctime                    date      When the file's attributes last changed.
        device                   keyword   Device the file is on.
        directory                keyword   Directory of the file.
        drive_letter             keyword   Drive of the file on Windows.
        extension                keyword   Extension of the file, without the dot.
        fork_name                keyword   Name of the fork or alternate stream.
        gid                      keyword   Primary group id of the file.
        group                    keyword   Primary group name of the file.
        inode                    keyword   Inode of the file.
        mime_type                keyword   MIME type of the file.
        mode                     keyword   Mode of the file in octal.
        mtime                    date      When the file's content last changed.
        name                     keyword   Name of the file with its extension.
        origin_referrer_url      keyword   URL of the page that linked to the file.
        origin_url               keyword   URL the file came from.
        owner                    keyword   Owner of the file.
        path                     keyword   Full path of the file.
        size                     long      Size of the file in bytes.
        target_path              keyword   Target of a symbolic link.
        type                     keyword   file, dir or symlink.
        uid                      keyword   User id of the owner.
    """,
    "hash": """
        cdhash                   keyword   Code directory hash (macOS).
        md5                      keyword   MD5.
        sha1                     keyword   SHA-1.
        sha256                   keyword   SHA-256.
        sha384                   keyword   SHA-384.
        sha512                   keyword   SHA-512.
        ssdeep                   keyword   SSDEEP fuzzy hash.
        tlsh                     keyword   TLSH fuzzy hash.
    """,
    "code_signature": """
        digest_algorithm         keyword   Algorithm of the signature's digest.
        exists                   boolean   Whether there is a signature.
        flags                    keyword   Flags of the signature.
        signing_id               keyword   Identifier the code was signed with.
        status                   keyword   What the check of the signature said.
        subject_name             keyword   Who signed.
        team_id                  keyword   Team that signed.
        thumbprint_sha256        keyword   SHA-256 of the signing certificate.
        timestamp                date      When the code was signed.
        trusted                  boolean   Whether the chain of trust holds.
        valid                    boolean   Whether the signature fits the content.
    """,
    "pe": _GO
    + _NAMES
    + _SECTIONS
    + """
        architecture             keyword   Processor the executable is for.
        company                  keyword   Company named in the executable.
        description              keyword   Description in the executable.
        file_version             keyword   File version in the executable.
        imphash                  keyword   Import hash.
        imports                  json      Imports; usually dotted names.
        original_file_name       keyword   Name the executable was built with.
        pehash                   keyword   PE hash.
        product                  keyword   Product named in the executable.
    """,
    "elf": _GO
    + _NAMES
    + _SECTIONS
    + """
        architecture             keyword   Processor the executable is for.
        byte_order               keyword   Byte order.
        cpu_type                 keyword   Processor type.
        creation_date            date      When the executable was built, where known.
        exports                  json      Exports; usually dotted names.
        header.abi_version       keyword   ABI version.
        header.class             keyword   Class: 32 or 64 bit.
        header.data              keyword   Data encoding.
        header.entrypoint        long      Entry point.
        header.object_version    keyword   Object version.
        header.os_abi            keyword   ABI of the operating system.
        header.type              keyword   Kind of object file.
        header.version           keyword   Header version.
        imports                  json      Imports; usually dotted names.
        sections.chi2            long      Chi-square of the section's bytes.
        sections.flags           keyword   Flags of the section.
        sections.physical_offset keyword   Offset of the section in the file.
        sections.type            keyword   Type of the section.
        sections.virtual_address long      Address of the section in memory.
        segments                 json      Segments, an array of objects.
        segments.sections        keyword   Sections of the segment.
        segments.type            keyword   Type of the segment.
        shared_libraries         keyword[] Libraries the executable needs.
        telfhash                 keyword   Telfhash.
    """,
    "macho": _GO
    + _NAMES
    + _SECTIONS
    + """
        imports                  json      Imports; usually dotted names.
        symhash                  keyword   Hash of the symbols.
    """,
    "x509": """
        alternative_names        keyword[] Subject alternative names.
        issuer.common_name       keyword[] Common names of the issuer.
        issuer.country           keyword[] Countries of the issuer.
        issuer.distinguished_name keyword  Distinguished name of the issuer.
        issuer.locality          keyword[] Localities of the issuer.
        issuer.organization      keyword[] Organisations of the issuer.
        issuer.organizational_unit keyword[] Units of the issuer.
        issuer.state_or_province keyword[] States of the issuer.
        not_after                date      When the certificate ends.
        not_before               date      When the certificate begins.
        public_key_algorithm     keyword   Algorithm of the public key.
        public_key_curve         keyword   Curve of the public key.
        public_key_exponent      long      Exponent of the public key.
        public_key_size          long      Bits of the public key.
        serial_number            keyword   Serial number of the certificate.
        signature_algorithm      keyword   Algorithm of the signature.
        subject.common_name      keyword[] Common names of the subject.
        subject.country          keyword[] Countries of the subject.
        subject.distinguished_name keyword Distinguished name of the subject.
        subject.locality         keyword[] Localities of the subject.
        subject.organization     keyword[] Organisations of the subject.
        subject.organizational_unit keyword[] Units of the subject.
        subject.state_or_province keyword[] States of the subject.
        version_number           keyword   Version of the certificate's format.
    """,
    "dll": """
        name                     keyword   Name of the library.
        path                     keyword   Path of the library.
    """,
    "registry": """
        data.bytes               keyword   Bytes written, base64.
        data.strings             keyword[] Strings written.
        data.type                keyword   Type of the value, such as REG_SZ.
        hive                     keyword   Hive, abbreviated: HKLM, HKCU …
        key                      keyword   Key below the hive.
        path                     keyword   Hive, key and value.
        value                    keyword   Name of the value.
    """,
}
