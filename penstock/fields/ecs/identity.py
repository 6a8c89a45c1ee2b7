"""Who did it: users and their groups, organisations, mail, entities."""

SETS = {
    "user": """
        domain                   keyword   Directory the user belongs to.
        email                    keyword   Mail address of the user.
        full_name                keyword   Full name of the user.
        hash                     keyword   Hash that stands for the user without naming them.
        id                       keyword   Unique identifier of the user, such as a SID.
        name                     keyword   Short name or login of the user.
        roles                    keyword[] Roles of the user at the time of the event.
    """,
    "organization": """
        id                       keyword   Identifier of the organisation.
        name                     keyword   Name of the organisation.
    """,
    "entity": """
        attributes               json      Attributes of the entity; usually dotted names.
        behavior                 json      How the entity behaves; usually dotted names.
        display_name             keyword   Name of the entity for people.
        id                       keyword   Identifier of the entity.
        last_seen_timestamp      date      When the entity was last seen.
        lifecycle                json      Times in the entity's life; usually dotted names.
        metrics                  json      Figures of the entity; usually dotted names.
        name                     keyword   Name of the entity.
        raw                      json      What the source says of the entity.
        reference                keyword   URL with more about the entity.
        source                   keyword   System that reported the entity.
        sub_type                 keyword   Finer kind of entity.
        type                     keyword   Kind of entity.
    """,
    "email": """
        attachments              json      Attachments, an array of objects.
        attachments.file.extension keyword Extension of the attached file.
        attachments.file.mime_type keyword MIME type of the attached file.
        attachments.file.name    keyword   Name of the attached file.
        attachments.file.size    long      Size of the attached file in bytes.
        bcc.address              keyword[] Blind-copy addresses.
        cc.address               keyword[] Copy addresses.
        content_type             keyword   MIME type of the message.
        delivery_timestamp       date      When the message was delivered.
        direction                keyword   inbound, outbound, internal or external.
        from.address             keyword[] Addresses in From.
        local_id                 keyword   Identifier given by the mail gateway.
        message_id               keyword   Message-ID of the message.
        origination_timestamp    date      When the message was written.
        reply_to.address         keyword[] Addresses in Reply-To.
        sender.address           keyword   Address in Sender.
        subject                  keyword   Subject of the message.
        to.address               keyword[] Addresses in To.
        x_mailer                 keyword   Program that wrote the message.
    """,
}
