"""Clouds, and what runs notebooks and builds there, of which only their wordings are known. One entry for each."""

from __future__ import annotations

from oomguard.diagnosis.killers.base import Killer, fact, sigkill, system, wording

CLOUDS: tuple[Killer, ...] = (
    system(
        "ecs",
        "the Linux kernel, at the memory limit of an Amazon ECS (or AWS Batch) container",
        wording(
            r"(?:(?:[{\[\"].{0,3000}?)?\"?(?:stoppedReason|reason|statusReason)\":\s?\")?(?P<reason>OutOfMemory(?:Error)?: Container killed due to memory usage)",
            "OutOfMemoryError: Container killed|OutOfMemory: Container killed",
            "Stopped reason: OutOfMemoryError: Container killed due to memory usage",
        ),
        killer="kernel",
        why="the container reached its memory limit",
        facts=(
            fact("limit_mib", r"\"memory\":\s?\"?([0-9]{2,9})"),
            fact("container", r"\"name\":\s?\"([\w-]{1,120})\"", "before"),
            fact("job", r"\"(?:jobId|taskArn)\":\s?\"([^\"]{1,200})\""),
        ),
        do=(
            (
                "or raise memory of the container (and of the task) in the task definition; for AWS Batch in resourceRequirements",
                "aws ecs describe-task-definition --task-definition TASK --query 'taskDefinition.containerDefinitions[].[name,memory]'",
            ),
        ),
    ),
    system(
        "cloud-run",
        "Google Cloud Run (or Functions), at the memory limit of the instance",
        wording(
            r"(?:[A-Z]{3,7} [0-9]{3} )?(?P<reason>Memory limit of (?P<limit>[0-9.]+ ?[KMG]i?B?) exceeded with (?P<used>[0-9.]+ ?[KMG]i?B?) used)",
            "Memory limit of [0-9.]+ ?[KMG]",
            "Memory limit of 512 MiB exceeded with 515 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits",
        ),
        wording(
            r"(?P<reason>Function invocation was interrupted\. Error: memory limit exceeded|(?:Error: )?[Mm]emory limit (?:of [0-9.]+ ?[KMG]i?B )?exceeded\. Function invocation was interrupted)",
            r"Error: memory limit exceeded|exceeded\. Function invocation was",
            "Function invocation was interrupted. Error: memory limit exceeded.",
        ),
        wording(
            r"(?P<reason>Exceeded (?:soft|hard) (?:private )?memory limit of (?P<limit>[0-9.]+ ?[KMG]i?B) with (?P<used>[0-9.]+ ?[KMG]i?B))",
            "memory limit of",
            "Exceeded hard memory limit of 512 MiB with 515 MiB after servicing 3 requests total.",
        ),
        wording(
            r"(?:While handling this request, the (?:process that handled this request|container instance) was|The container instance was) found to be (?P<reason>using too much memory and was terminated)",
            "using too much memory and was terminated",
            "While handling this request, the container instance was found to be using too much memory and was terminated. This is likely to cause a new container instance to be used for the next request.",
        ),
        facts=(fact("service", r"\"service_name\":\s?\"([\w-]{1,80})\""),),
        suffix="Gi",
        small="Mi",
        do=(("or give each instance more", "gcloud run services update {service} --memory {size}"),),
    ),
    system(
        "heroku",
        "Heroku, because the dyno used more than twice its memory quota",
        wording(
            r"(?P<reason>Error R15 \(Memory quota vastly exceeded\))",
            r"Error R15 \(Memory",
            "2026-03-01T10:00:00.000000+00:00 heroku[worker.1]: Error R15 (Memory quota vastly exceeded)",
        ),
        facts=(
            fact("used", r"Process running mem=([0-9]+[KMG])"),
            fact("app", r"heroku\[([a-z_]+)"),
        ),
        do=(("or use a larger dyno", "heroku ps:resize {app}=performance-l"),),
    ),
    system(
        "lambda",
        "AWS Lambda, which ended the function",
        wording(
            r"(?:(?:\{.{0,600}?)?\"errorMessage\":\s?\")?(?:RequestId: \S{1,80} )?(?:Error: )?(?P<reason>Runtime exited with error: signal: killed)",
            "Runtime exited with error: signal: killed",
            "RequestId: 8f5 Error: Runtime exited with error: signal: killed",
        ),
        wording(
            r"(?:REPORT RequestId: .{0,300}?\s)?(?P<reason>Error Type: Runtime\.OutOfMemory)",
            r"Runtime\.OutOfMemory",
            "REPORT RequestId: 8f5\tDuration: 2101.06 ms\tMemory Size: 128 MB\tMax Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory",
        ),
        wording(
            r"(?:\{.{0,1000}?)?\"errorType\":\s?\"(?P<reason>Runtime\.OutOfMemory)\"",
            r"Runtime\.OutOfMemory",
            '{"type":"platform.report","record":{"requestId":"8f5","status":"error","errorType":"Runtime.OutOfMemory","metrics":{"memorySizeMB":128,"maxMemoryUsedMB":128}}}',
        ),
        facts=(
            fact("limit", r"\"memorySizeMB\":\s?([0-9]+)", unit="M"),
            fact("used", r"\"maxMemoryUsedMB\":\s?([0-9]+)", unit="M"),
            fact("limit", r"Memory Size: ([0-9]+ MB)"),
            fact("used", r"Max Memory Used: ([0-9]+ MB)"),
            fact("function", r"/aws/lambda/([\w-]{1,80})"),
        ),
        why="the function reached its memory size",
        do=(
            (
                "or give it more (which brings more CPU too)",
                "aws lambda update-function-configuration --function-name {function} --memory-size {mib}",
            ),
        ),
    ),
    system(
        "vertex",
        "Vertex AI, whose replica ran out of memory",
        wording(
            r"(?P<reason>[Tt]he replica (?P<name>[\w-]{1,64}) ran out[- ]of[- ]memory and exited with a non-zero status of [0-9]+\(SIGKILL\))",
            "memory and exited",
            "The replica workerpool0-0 ran out-of-memory and exited with a non-zero status of 137(SIGKILL).",
        ),
        why="the replica ran out of its machine's memory",
        do=(("or use a machine with more memory: machine_type in the worker pool, for example", "n2-highmem-8"),),
    ),
    system(
        "colab",
        "Google Colab, whose virtual machine ran out of memory",
        wording(
            r"(?P<reason>Your session crashed after using all available RAM)",
            "session crashed after",
            "Your session crashed after using all available RAM. If you are interested in access to high-RAM runtimes, you may want to check out Colab Pro.",
        ),
        why="the session used all memory of its machine; its kernel's log cannot be read from outside",
        do=(
            ("or use a high-RAM runtime: Runtime, Change runtime type", None),
            ("see how much there is, in a cell of the notebook", "!free -h"),
        ),
    ),
    system(
        "kaggle",
        "Kaggle, whose notebook ran out of memory",
        wording(
            r"(?P<reason>Your notebook tried to allocate more memory than is available)",
            "allocate more memory than",
            "Your notebook tried to allocate more memory than is available. It has restarted.",
        ),
        why="the notebook used all memory of its machine; its kernel's log cannot be read from outside",
        do=(("see how much there is, in a cell of the notebook", "!free -h"),),
    ),
    system(
        "huggingface-space",
        "Hugging Face Spaces, because the Space exceeded the memory of its hardware",
        wording(
            r"(?:runtime error:? )?(?:Exit code: [0-9]+\. Reason: )?(?P<reason>Memory limit exceeded \((?P<limit>[0-9.]{1,8}[KMGT]i)\))",
            r"Memory limit exceeded \(",
            "Memory limit exceeded (16Gi)",
        ),
        do=(("or use larger hardware: Settings of the Space, Space hardware", None),),
    ),
    system(
        "render",
        "Render, because the instance exceeded its memory",
        wording(
            r"(?:==> )?(?:Instance failed:? \S{0,60}\s?)?(?P<reason>(?:Ran o|O)ut of memory \(used over (?P<limit>[0-9.]{1,8} ?[KMG]i?B?)\))",
            r"Ran out of memory \(used over|Out of memory \(used over",
            "Ran out of memory (used over 512MB) while running your code.",
        ),
        do=(("or use a larger instance type: Settings of the service, Instance Type", None),),
    ),
    system(
        "pm2",
        "PM2, at the limit that its --max-memory-restart sets",
        wording(
            r"(?:\[?PM2\]?[\[\]\s|:A-Z]{0,20})?(?P<reason>Process (?P<app>\S{1,40}) restarted because it exceeds --max-memory-restart value.{0,120})",
            "because it exceeds --max-memory-restart",
            "[PM2][WORKER] Process 0 restarted because it exceeds --max-memory-restart value (current_memory=1073741824 max_memory_limit=524288000 [octets])",
        ),
        facts=(fact("used", r"current_memory=([0-9]{4,15})"), fact("limit", r"max_memory_limit=([0-9]{4,15})")),
        do=(("or let it take more before it is restarted", "pm2 restart {app} --max-memory-restart {size}"),),
    ),
    system(
        "fly",
        "the Linux kernel, out of memory in a Fly.io machine",
        wording(
            r"(?P<reason>Process appears to have been OOM killed)",
            "appears to have been OOM killed",
            "INFO Process appears to have been OOM killed!",
        ),
        killer="kernel",
        why="the machine's memory was full",
        do=(("or give the machine more (in MB)", "fly scale memory {mib}"),),
    ),
    system(
        "glue",
        "AWS Glue, whose worker ran out of memory",
        wording(
            r"(?P<reason>Command [Ff]ailed due to [Oo]ut of [Mm]emory)",
            "Command Failed due to Out of|Command failed due to Out of|Command failed due to out of",
            "Command Failed due to Out of Memory",
        ),
        do=(("or use larger workers: Worker type G.2X or more, in the job's details", None),),
    ),
    system(
        "nomad",
        "the Linux kernel, at the memory limit of a Nomad task",
        wording(
            r"(?:\S{10,40}\s+|[0-9]{2}/[0-9]{2}/[0-9]{2} [0-9:]{5,8} [A-Z]{2,5}\s{1,20})?(?:Terminated\s+)?Exit Code: 137,(?: Signal: 9,)? Exit Message: \"(?P<reason>OOM Killed)\"",
            'Exit Message: "OOM Killed',
            'Terminated  Exit Code: 137, Exit Message: "OOM Killed"',
        ),
        killer="kernel",
        why="the task reached its memory limit",
        do=(("or raise resources.memory of the task (in MB)", "nomad job plan JOB.nomad.hcl"),),
    ),
    system(
        "cloudfoundry",
        "the Linux kernel, at the memory limit of a Cloud Foundry app",
        wording(
            r"(?:(?:reason|exit_description): )?\"?(?:\[?APP/PROC/[\w/]{1,40}\]?:? ?)?(?:OUT |ERR )?Exit(?:ed with)? status 137 (?P<reason>\(out of memory\))",
            r"tatus 137 \(out of memory\)",
            '   exit_description: "APP/PROC/WEB: Exited with status 137 (out of memory)"',
        ),
        killer="kernel",
        why="the instance reached its memory limit",
        do=(("or give each instance more", "cf scale APP -m {size}"), ("see what it uses", "cf app APP")),
    ),
    system(
        "dataflow",
        "Google Cloud Dataflow, whose worker ran out of memory",
        wording(
            r"(?P<reason>The worker VM had to shut down one or more processes due to lack of memory)",
            "due to lack of memory",
            "The worker VM had to shut down one or more processes due to lack of memory.",
        ),
        do=(
            (
                "or use machines with more memory for each processor",
                "--machine_type=n2-highmem-4 --number_of_worker_harness_threads=1",
            ),
        ),
    ),
    system(
        "vercel",
        "Vercel, whose build ran out of memory",
        wording(
            r"(?P<reason>At least one \"Out of Memory\" \(\"OOM\"\) event was detected during the build)",
            "event was detected during the build",
            'At least one "Out of Memory" ("OOM") event was detected during the build. This occurs when processes or applications running during the build completely fill up the available memory.',
        ),
        killer="kernel",
        why="the build used all memory of its container",
        do=(("or use a larger build machine: Settings of the project, Build and Deployment", None),),
    ),
    sigkill(  # memory, processor or disk: the text does not say which
        "streamlit",
        "an app of Streamlit Community Cloud",
        wording(
            r"(?:(?:Oh no|Argh)\. )?(?P<reason>(?:This|Your) app has gone over its resource limits)(?=\.|\s*$)",
            "app has gone over its resource",
            "This app has gone over its resource limits.",
        ),
        do=(("or keep less in memory: cache data once for all sessions", "@st.cache_resource(max_entries=1)"),),
    ),
    system(
        "bitbucket",
        "Bitbucket Pipelines, because the step's container exceeded its memory limit",
        wording(
            # The names that Bitbucket itself gives; a service's own may be any container's.
            r"(?P<reason>Container '(?P<container>Build|[Dd]ocker)' exceeded memory limit)\.?\s*$",
            "Container 'Build' exceeded|Container 'Docker' exceeded|Container 'docker' exceeded",
            "Container 'Build' exceeded memory limit.",
        ),
        why="the step's container used all the memory it is allowed",
        do=(
            (
                "or give the step more in bitbucket-pipelines.yml (size), or the service (definitions: services: docker: memory)",
                "size: 2x",
            ),
        ),
    ),
    system(
        "readthedocs",
        "Read the Docs, because the build exceeded its memory limit",
        wording(
            r"(?P<reason>Command killed due to excessive memory consumption)",
            "to excessive memory consumption",
            "Command killed due to excessive memory consumption",
        ),
        why="the build used all the memory it is allowed",
        do=(("or build less at a time: fewer formats, fewer notebooks run, smaller API pages", None),),
    ),
    sigkill(  # memory or time: the text does not say which
        "readthedocs-end",
        "a build of Read the Docs",
        wording(
            r"(?P<reason>Command killed due to timeout or excessive memory consumption)",
            "timeout or excessive memory consumption",
            "Command killed due to timeout or excessive memory consumption",
        ),
        do=(("or build less at a time: fewer formats, fewer notebooks run, smaller API pages", None),),
    ),
    system(
        "cloudflare",
        "Cloudflare Workers, because the Worker exceeded the memory of an isolate (128 MB)",
        wording(
            # Many programs have workers: only with the word that the runtime puts before it.
            r"(?:Error: |(?<=Error: )|(?=Your ))(?:Your )?(?P<reason>Worker exceeded memory limit)(?=\.|\s*$|[\"'](?!\s?:)|\s[(\[])",
            "Worker exceeded memory limit",
            "Error: Worker exceeded memory limit.",
        ),
        why="the Worker held more than an isolate is allowed",
        do=(("or stream bodies instead of reading them whole", "new Response(request.body)"),),
    ),
)
