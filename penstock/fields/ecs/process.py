"""What runs: the process and its relatives."""

SETS = {
    "process": """
        args                     keyword[] Arguments, the executable first.
        args_count               long      Number of arguments.
        command_line             keyword   Whole command line.
        end                      date      When the process ended.
        entity_id                keyword   Identifier of the process, unique in time and place.
        env_vars                 keyword[] Environment variables, `NAME=value`.
        executable               keyword   Full path of the executable.
        exit_code                long      Exit code.
        interactive              boolean   Whether the process has a terminal.
        io                       json      Terminal input and output; usually dotted names.
        io.bytes_skipped         json      Ranges of bytes left out, an array of objects.
        io.bytes_skipped.length  long      Bytes left out.
        io.bytes_skipped.offset  long      Where they were left out.
        io.max_bytes_per_process_exceeded boolean Whether the process wrote more than is kept.
        io.text                  text      Piece of terminal output.
        io.total_bytes_captured  long      Bytes captured.
        io.total_bytes_skipped   long      Bytes left out.
        io.type                  keyword   Kind of input or output.
        name                     keyword   Name of the process.
        pgid                     long      Process group.
        pid                      long      Process id.
        same_as_process          boolean   Whether the leader is the process itself.
        start                    date      When the process started.
        thread.capabilities.effective keyword[] Capabilities in effect.
        thread.capabilities.permitted keyword[] Capabilities permitted.
        thread.id                long      Thread id.
        thread.name              keyword   Thread name.
        title                    keyword   Title of the process.
        tty                      json      Terminal of the process; usually dotted names.
        tty.char_device.major    long      Major number of the terminal.
        tty.char_device.minor    long      Minor number of the terminal.
        tty.columns              long      Columns of the terminal.
        tty.rows                 long      Rows of the terminal.
        uptime                   long      Seconds the process has been up.
        vpid                     long      Process id in its namespace.
        working_directory        keyword   Working directory.
        entry_meta.type          keyword   How the session came in: sshd, console …
        entry_meta.source.ip     ip        Address the session came from.
    """,
    "process.user": """
        id                       keyword   Identifier of the user the process runs as.
        name                     keyword   Name of the user the process runs as.
    """,
    "process.group": """
        id                       keyword   Identifier of the group the process runs as.
        name                     keyword   Name of the group the process runs as.
    """,
}
