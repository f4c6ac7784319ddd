"""Compilers, builds, containers and jobs that ended with a SIGKILL whose sender and reason the text does not name."""

from __future__ import annotations

from oomguard.diagnosis.killers.base import Killer, sigkill, wording

_RUNNER = "GitHub's standard runners have 7 or 16 GB, GitLab's small one 8 GB; a larger runner, or fewer jobs at once"

BUILDS: tuple[Killer, ...] = (
    sigkill(
        "compiler",
        "a compiler or linker",
        wording(
            r"(?:= note: )?(?:[\w+.-]{1,80}: )?(?:fatal error: |internal compiler error: |error: )?(?:Killed signal terminated program (?P<name>\S{1,40})|Killed \(program (?P<name2>\S{1,40}?)\)|(?P<name3>\S{0,40}ld\S{0,10}) terminated with signal 9 \[Killed\])",
            r"Killed signal terminated program|Killed \(program|terminated with signal 9",
            "g++: fatal error: Killed signal terminated program cc1plus",
        ),
        wording(
            r"(?P<name>clang\S{0,10}): error: unable to execute command: Killed",
            "unable to execute command: Killed",
            "clang: error: unable to execute command: Killed",
        ),
        wording(
            r"(?:.{0,300}?)\(signal: 9, SIGKILL: kill\)",
            "signal: 9, SIGKILL: kill",
            "process didn't exit successfully: `rustc --crate-name x` (signal: 9, SIGKILL: kill)",
        ),
        wording(
            r"(?:go build \S{1,200}: )?(?P<name>\S{1,160}/(?:compile|link|asm|cgo)): (?:running \S{1,40} failed: )?signal: killed",
            "signal: killed",
            "go build github.com/x/y: /usr/lib/go/pkg/tool/linux_amd64/compile: signal: killed",
        ),
        wording(
            r"[\u2502|]?\s*exit code: -9\s*$",
            "exit code: -9",
            "  │ exit code: -9",
        ),
        do=(("compile fewer files at a time", "make -j2"),),
    ),
    sigkill(
        "make",
        "a command run by make",
        wording(
            r"g?make(?:\[[0-9]{1,4}\])?: \*\*\* \[(?P<name>[^\]\n]{1,200})\] (?:Killed|Error 137)",
            r"\] Killed|\] Error 137",
            "make: *** [Makefile:3: all] Killed",
        ),
        do=(("run fewer commands at a time", "make -j2"),),
    ),
    sigkill(
        "docker-exit",
        "a container, with exit status 137",
        wording(
            r"(?:.{0,300}?\s)?Exited \(137\)",
            r"Exited \(137\)",
            '5954f621c17f   prep:1    "python prep.py"   5 minutes ago   Exited (137) 2 minutes ago             web',
        ),
        wording(
            r"(?:.{0,300}?\s)?(?:(?<![Pp]rocess )(?<![Cc]ommand )exited with code 137|non-zero exit \(137\)|non-zero code: 137|did not complete successfully: exit code: 137)",
            r"exited with code 137|non-zero exit \(137\)|non-zero code: 137|exit code: 137",
            "web-1 exited with code 137",
        ),
        wording(
            r"(?:[0-9T:.Z+-]{20,40} )?container die (?P<container>[0-9a-f]{12,64}) \(.{0,300}?exitCode=137\b",
            "container die ",
            "2026-03-01T10:00:05.223456789+01:00 container die 5954f621c17f (execDuration=5, exitCode=137, image=prep:1, name=web)",
        ),
        wording(
            r"Container terminated on signal 9",
            "Container terminated on signal 9",
            "Container terminated on signal 9.",
        ),
        do=(
            (
                "ask Docker whether it was memory",
                "docker inspect -f '{{.State.OOMKilled}} {{.HostConfig.Memory}}' CONTAINER",
            ),
        ),
    ),
    sigkill(
        "kubernetes-exit",
        "a Kubernetes container, with exit status 137",
        wording(
            r"(?:ERROR: Job failed: )?command terminated with exit code 137",
            "command terminated with exit code 137",
            "command terminated with exit code 137",
        ),
        wording(r"Exit Code:\s+137\s*$", "    137", "      Exit Code:    137"),
        do=(("ask Kubernetes whether it was memory", "kubectl describe pod POD | grep -A6 'Last State'"),),
    ),
    sigkill(
        "ci",
        "a step in a CI job",
        wording(
            r"(?:##\[error\]|Error: )?Process completed with exit code 137",
            "Process completed with exit code 137",
            "Error: Process completed with exit code 137.",
        ),
        wording(
            r"(?:ERROR: )?Job failed:? \(?(?:exit code |exit status )137",
            "exit code 137|exit status 137",
            "ERROR: Job failed: exit code 137",
        ),
        wording(
            r"(?:.{0,120}?\s)?(?:##\[error\])?(?:(?:The )?(?:self-)?hosted runner.{0,80}? lost communication with the server|The runner has received a shutdown signal)",
            "lost communication with the server|runner has received a shutdown",
            "The hosted runner: GitHub Actions 3 lost communication with the server. Anything in your workflow that terminates the runner process can cause this error.",
        ),
        wording(
            r"(?:##\[error\])?We stopped hearing from agent .{1,120}?\. Verify the agent machine is running",
            "stopped hearing from agent",
            "##[error]We stopped hearing from agent Azure Pipelines 7. Verify the agent machine is running and has a healthy network connection.",
        ),
        wording(
            r"Received \"killed\" signal",
            r'Received \\?"killed\\?" signal',
            'Received "killed" signal',
        ),
        wording(
            r"(?:##\[error\])?\w{1,20} exited with code '137'",
            "exited with code '137'",
            "##[error]Bash exited with code '137'.",
        ),
        wording(
            r"(?:ERROR: )?(?:build step [0-9]{1,4} \"[^\"]{1,160}\" failed: )?step exited with non-zero status: 137",
            "exited with non-zero status: 137",
            'ERROR: build step 0 "gcr.io/cloud-builders/docker" failed: step exited with non-zero status: 137',
        ),
        do=((f"compare with what the runner has: {_RUNNER}", "free -h; nproc"),),
    ),
    sigkill(
        "workflow",
        "a task in a workflow, with exit status 137",
        wording(
            r"(?:.{0,200}?\s)?terminated with an error exit status \(137\)",
            r"error exit status \(137\)",
            "Process `align (1)` terminated with an error exit status (137)",
        ),
        wording(
            r"(?:.{0,200}?\s)?terminated for an unknown reason -- Likely it has been terminated by the external system",
            "terminated for an unknown reason",
            "Process `align (1)` terminated for an unknown reason -- Likely it has been terminated by the external system",
        ),
        do=(
            (
                "ask for more memory at each try, if it was memory: Nextflow",
                "process.memory = { 8.GB * task.attempt }; process.errorStrategy = { task.exitStatus == 137 ? 'retry' : 'terminate' }",
            ),
        ),
    ),
    sigkill(
        "node-build",
        "a command run by npm, yarn, pnpm, Next.js or PM2",
        wording(
            r"The build failed because the process exited too early\. This probably means the system ran out of memory",
            "the process exited too early",
            "The build failed because the process exited too early. This probably means the system ran out of memory or someone called `kill -9` on the process.",
        ),
        wording(
            r"npm (?:ERR!|error) signal SIGKILL",
            "npm ERR! signal SIGKILL|npm error signal SIGKILL",
            "npm error signal SIGKILL",
        ),
        wording(
            r"(?:error |Error: )?Command (?:failed with signal \"SIGKILL\"|was killed with SIGKILL|\"[^\"]{1,200}\" exited with \"?SIGKILL)",
            r'ailed with signal \\?"SIGKILL|was killed with SIGKILL|exited with SIGKILL|exited with \\?"SIGKILL',
            'error Command failed with signal "SIGKILL".',
        ),
        wording(
            r"(?:Next\.js build worker|Static worker) exited with code: null and signal: SIGKILL",
            "exited with code: null and signal: SIGKILL",
            "Next.js build worker exited with code: null and signal: SIGKILL",
        ),
        wording(
            r"(?:PM2\s+\| )?App \[(?P<name>[^\]]{1,80})\] exited with code \[[0-9]{1,3}\] via signal \[SIGKILL\]",
            r"via signal \[SIGKILL",
            "App [web:0] exited with code [0] via signal [SIGKILL]",
        ),
        do=(
            (
                "hold the heap below the machine's memory, and build in fewer workers",
                "NODE_OPTIONS=--max-old-space-size=2048 npm run build",
            ),
        ),
    ),
    sigkill(
        "jvm-build",
        "a Gradle, Maven or Bazel process",
        wording(
            r"(?:.{0,60}?\s)?Gradle build daemon disappeared unexpectedly \(it may have been killed or may have crashed\)",
            "build daemon disappeared unexpectedly",
            "Gradle build daemon disappeared unexpectedly (it may have been killed or may have crashed)",
        ),
        wording(
            r"(?:> )?Process '(?P<name>[^'\n]{1,200})' finished with non-zero exit value 137",
            "finished with non-zero exit value 137",
            "Process 'Gradle Test Executor 1' finished with non-zero exit value 137",
        ),
        wording(
            r"(?:.{0,200}?\s)?The forked VM terminated without (?:properly )?saying (?:properly )?goodbye",
            "forked VM terminated without",
            "The forked VM terminated without properly saying goodbye. VM crash or System.exit called?",
        ),
        wording(
            r"Server terminated abruptly \(error code: 14,",
            "Server terminated abruptly",
            "Server terminated abruptly (error code: 14, error message: 'Socket closed', log file: '/x/jvm.out')",
        ),
        do=(
            (
                "hold the heaps below the machine's memory, and run fewer at a time",
                "gradle --max-workers=2 -Dorg.gradle.jvmargs=-Xmx2g build    # bazel build --jobs=2",
            ),
        ),
    ),
)
