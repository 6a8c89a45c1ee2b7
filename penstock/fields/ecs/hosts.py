"""What machines are: host, operating system, device, hardware risk, volume, containers, clouds, functions."""

_CLOUD = """
        account.id               keyword   Account, project or subscription.
        account.name             keyword   Name of the account.
        availability_zone        keyword   Availability zone.
        instance.id              keyword   Identifier of the instance.
        instance.name            keyword   Name of the instance.
        machine.type             keyword   Type of the machine.
        project.id               keyword   Identifier of the project.
        project.name             keyword   Name of the project.
        provider                 keyword   Cloud provider: aws, azure, gcp …
        region                   keyword   Region.
        service.name             keyword   Service of the provider, such as s3.
"""

SETS = {
    "host": """
        architecture             keyword   Processor architecture.
        boot.id                  keyword   Identifier of the present boot.
        cpu.usage                double    Share of the processors in use, from 0 to 1.
        disk.read.bytes          long      Bytes read since the last measurement.
        disk.write.bytes         long      Bytes written since the last measurement.
        domain                   keyword   Domain or directory the host belongs to.
        hostname                 keyword   Name the host itself reports.
        id                       keyword   Unique identifier of the host.
        ip                       keyword[] IP addresses of the host.
        mac                      keyword[] MAC addresses of the host.
        name                     keyword   Name of the host.
        network.egress.bytes     long      Bytes sent since the last measurement.
        network.egress.packets   long      Packets sent since the last measurement.
        network.ingress.bytes    long      Bytes received since the last measurement.
        network.ingress.packets  long      Packets received since the last measurement.
        pid_ns_ino               keyword   Inode of the PID namespace.
        type                     keyword   Type of the host, such as the instance type.
        uptime                   long      Seconds since the host booted.
    """,
    "os": """
        family                   keyword   Family of the operating system: debian, redhat, windows …
        full                     keyword   Name and version of the operating system.
        kernel                   keyword   Kernel version.
        name                     keyword   Name of the operating system.
        platform                 keyword   Platform: centos, ubuntu, windows …
        type                     keyword   linux, macos, unix, windows, ios or android.
        version                  keyword   Version of the operating system.
    """,
    "risk": """
        calculated_level         keyword   Risk level computed by the system.
        calculated_score         double    Risk score computed by the system.
        calculated_score_norm    double    Risk score computed by the system, 0 to 100.
        static_level             keyword   Risk level given from outside.
        static_score             double    Risk score given from outside.
        static_score_norm        double    Risk score given from outside, 0 to 100.
    """,
    "device": """
        id                       keyword   Identifier of the device.
        manufacturer             keyword   Manufacturer of the device.
        model.identifier         keyword   Machine-readable model.
        model.name               keyword   Model as sold.
        product.id               keyword   Product id (USB).
        product.name             keyword   Product name (USB).
        serial_number            keyword   Serial number of the device.
        type                     keyword   Kind of device.
        vendor.id                keyword   Vendor id (USB).
        vendor.name              keyword   Vendor name (USB).
    """,
    "volume": """
        bus_type                 keyword   Bus of the volume.
        default_access           keyword   Access the volume gives by default.
        device_name              keyword   Device name of the volume.
        device_type              keyword   Kind of device.
        dos_name                 keyword   Drive letter.
        file_system_type         keyword   File system.
        mount_name               keyword   Where the volume is mounted.
        nt_name                  keyword   NT name of the volume.
        product_id               keyword   Product id.
        product_name             keyword   Product name.
        removable                boolean   Whether the volume can be removed.
        serial_number            keyword   Serial number of the volume.
        size                     long      Size in bytes.
        vendor_id                keyword   Vendor id.
        vendor_name              keyword   Vendor name.
        writable                 boolean   Whether the volume can be written.
    """,
    "cloud": _CLOUD,
    "cloud.origin": _CLOUD,
    "cloud.target": _CLOUD,
    "container": """
        cpu.usage                double    Share of the processors in use, from 0 to 1.
        disk.read.bytes          long      Bytes read since the last measurement.
        disk.write.bytes         long      Bytes written since the last measurement.
        id                       keyword   Identifier of the container.
        image.hash.all           keyword[] Digests of the image.
        image.name               keyword   Name of the image.
        image.tag                keyword[] Tags of the image.
        labels                   json      Labels of the image; usually dotted names `container.labels.*`.
        memory.usage             double    Share of the memory in use, from 0 to 1.
        name                     keyword   Name of the container.
        network.egress.bytes     long      Bytes sent since the last measurement.
        network.ingress.bytes    long      Bytes received since the last measurement.
        runtime                  keyword   Runtime that manages the container.
        security_context.privileged boolean Whether the container runs privileged.
    """,
    "orchestrator": """
        api_version              keyword   Version of the API used.
        cluster.id               keyword   Identifier of the cluster.
        cluster.name             keyword   Name of the cluster.
        cluster.url              keyword   URL of the cluster's API.
        cluster.version          keyword   Version of the cluster.
        namespace                keyword   Namespace of the action.
        organization             keyword   Organisation affected.
        resource.annotation      keyword[] Annotations of the resource.
        resource.id              keyword   Identifier of the resource.
        resource.ip              keyword[] IP addresses of the resource.
        resource.label           keyword[] Labels of the resource.
        resource.name            keyword   Name of the resource.
        resource.parent.type     keyword   Kind of the resource's parent.
        resource.type            keyword   Kind of resource: pod, service …
        type                     keyword   Orchestrator: kubernetes, nomad …
    """,
    "faas": """
        coldstart                boolean   Whether this was a cold start.
        execution                keyword   Identifier of this execution.
        id                       keyword   Identifier of the function.
        name                     keyword   Name of the function.
        trigger                  json      What started the function.
        trigger.request_id       keyword   Identifier of the trigger's request.
        trigger.type             keyword   Kind of trigger: http, pubsub, timer …
        version                  keyword   Version of the function.
    """,
}
