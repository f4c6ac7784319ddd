"""Programs, and shells, that tell of a SIGKILL whose sender and reason they do not know: what is said by many comes last."""

from __future__ import annotations

from oomguard.diagnosis.killers.base import PID, Killer, fact, sigkill, wording

# What bash and the C library call SIGKILL in other languages. Source: bash's and glibc's catalogues of messages.
_KILLED = (
    "Get\u00f6tet|Abgebrochen \\(Killed\\)|Tu\u00e9|Processus arr\u00eat\u00e9|Terminado \\(killed\\)|Matado|Ucciso|Morto|Morto \\(Killed\\)"
    "|\u0423\u0431\u0438\u0442\u043e?|\u5f37\u5236\u7d42\u4e86|\u5df2\u6740\u6b7b|\u5f37\u5236\u7d50\u675f|\uc8fd\uc5c8\uc74c|Unicestwiony|Geëlimineerd|Dödad|\u0412\u0431\u0438\u0442\u043e"
)
# What a shell puts before it: its script and the word for "line" in each language, or, as dash does, the number alone.
_LINE = (
    "line|Zeile|ligne|l\u00ednea|l\u00ednia|riga|linha|linia|regel|rad|radek|\u0159\u00e1dek|sor|sat\u0131r"
    "|\u0441\u0442\u0440\u043e\u043a\u0430|\u0440\u044f\u0434\u043e\u043a|\u884c|\u7b2c|\u5217|\uc904|\ud589"
)
_SCRIPT = (
    rf"[^\s:][^:\n]{{0,200}}? ?[:,\uff1a] ?(?:(?:{_LINE}) ?[0-9]{{1,9}}(?: ?\u884c)?|[0-9]{{1,9}}\.? ?(?:\ubc88\uc9f8 )?(?:{_LINE})) ?[:\uff1a]\s+"
    r"|(?:[\w.~+/-]{0,200}/[\w.~+-]{1,100}|[\w.~+-]{1,100}\.sh|-?(?:ba|da|a|k|z|mk)?sh): [0-9]{1,9}:\s+"
)

PROGRAMS: tuple[Killer, ...] = (
    sigkill(
        "postgres",
        "a PostgreSQL process",
        wording(
            rf"(?:.{{0,60}}?\s)?(?:server process|client backend|autovacuum worker|background worker.{{0,60}}?|parallel worker) \(PID {PID}\) was terminated by signal 9: Killed",
            "was terminated by signal 9",
            "2026-03-01 10:00:00.123 UTC [1] LOG:  server process (PID 4711) was terminated by signal 9: Killed",
        ),
        do=(
            (
                "protect the database and make the kernel refuse memory instead of killing",
                "sudo sysctl vm.overcommit_memory=2",
            ),
        ),
    ),
    sigkill(
        "time",
        "a command that time(1) watched",
        wording(
            r"Command terminated by signal 9\b",
            "Command terminated by signal 9",
            "Command terminated by signal 9",
        ),
        facts=(
            fact("used_kb", r"Maximum resident set size \(kbytes\): ([0-9]{1,15})"),
            fact("command", r"Command being timed: \"(.{1,200})\""),
        ),
    ),
    sigkill(
        "exit-137",
        "a program that ended with exit status 137",
        wording(
            r"(?:[^#]{0,200}?\s|\(?)?(?:exit (?:code|status):? |(?:error )?code |exited with (?:(?:status|code):? )?|returned? (?:code )?|status (?:of )?)137\b(?!`)"
            r"(?!(?: \([^)]{1,40}\)|,)? (?:means|is|indicates|stands|usually|typically|generally|often|normally|signifies|implies|comes)\b)",
            "xit code: 137|xit code 137|rror code 137| code 137|xit status: 137|xited with 137|xited with status: 137|eturned 137|eturn 137|tatus 137|tatus of 137|xited with code 137",
            "CalledProcessError: Command returned non-zero exit status 137.",
        ),
        wording(  # Kubernetes, where its reason is "Error"; Azure
            r"\"?exitCode\"?: 137,?\s*$|(?:##\[error\])?Exit code 137 returned from process",
            'exitCode: 137|exitCode": 137|xit code 137',
            "        exitCode: 137",
        ),
        wording(
            r"exit_status\s+137\s",
            "exit_status  137",
            "exit_status  137                  (Killed)",
        ),
    ),
    sigkill(
        "systemd-exit",
        "a systemd service",
        wording(
            r"(?:.{0,120}?\s)?(?P<name>\S{1,120}\.(?:service|scope)): Main process exited, code=killed, status=9/KILL",
            "code=killed, status=9/KILL",
            "Mar  1 10:00:00 h systemd[1]: prep.service: Main process exited, code=killed, status=9/KILL",
        ),
        wording(
            rf"Main PID: {PID} (?:\(\S{{1,64}}\) )?\(code=killed, (?:status=9/|signal=)KILL\)",
            "Main PID: ",
            "   Main PID: 4711 (code=killed, signal=KILL)",
        ),
        do=(
            (
                "ask systemd whether it was memory: if so, Result is oom-kill",
                "systemctl show UNIT -p Result,MemoryMax,MemoryPeak",
            ),
        ),
    ),
    sigkill(
        "nginx",
        "a server process",
        wording(
            rf"(?:.{{0,100}}?\s)?(?:worker process|process) {PID} exited on signal 9\b",
            "exited on signal 9",
            "2026/03/01 10:00:00 [alert] 1#1: worker process 31 exited on signal 9",
        ),
        wording(
            rf"(?:.{{0,120}}?\s)?(?:AH00052: )?child pid {PID} exit signal Killed \(9\)",
            "exit signal Killed",
            "[core:notice] [pid 1:tid 1] AH00052: child pid 4711 exit signal Killed (9)",
        ),
        wording(
            r"(?:.{0,60}?\s)?exited: (?P<name>\S{1,80}) \(terminated by SIGKILL; not expected\)",
            "terminated by SIGKILL; not",
            "2026-03-01 10:00:00,123 INFO exited: worker (terminated by SIGKILL; not expected)",
        ),
    ),
    sigkill(
        "julia",
        "a worker of Julia",
        wording(
            r"(?:.{0,80}?\s)?ProcessExitedException\([0-9]{0,6}\)",
            r"ProcessExitedException\(",
            "ERROR: LoadError: ProcessExitedException(2)",
        ),
    ),
    sigkill(
        "databricks",
        "the Python process of a notebook",
        wording(
            r"Fatal error: The Python kernel is unresponsive",
            "The Python kernel is unresponsive",
            "Fatal error: The Python kernel is unresponsive.",
        ),
        do=(("see how full the driver was: Metrics, in the cluster's page, or use a larger driver", None),),
    ),
    sigkill(
        "shell",
        "a shell command",
        wording(
            rf"(?:\S{{1,200}}: line [0-9]{{1,9}}:\s+|\[[0-9]{{1,6}}\][+-]?\s+)?(?:{PID}\s+)?Killed(?:: 9)?(?:\s{{2,}}(?P<name>[\w./~\"$-].{{0,200}}))?\s*$",
            r'Killed(?:: 9)?(?:[ \t]{2,}\S|[ \t\r]*\n|[ \t\r]*\Z|\x1b|\\n|")',
            "./run.sh: line 3: 12345 Killed                  python prep.py",
        ),
        wording(
            rf"(?:zsh: killed\s+(?P<name>\S.{{0,200}})|fish: .{{0,120}}? terminated by signal SIGKILL|\[[0-9]+\]\s+[+-]?\s*{PID} killed\s.{{0,200}})",
            "zsh: killed|terminated by signal SIGKILL| killed  ",
            "zsh: killed     python prep.py",
        ),
        wording(r"flux-job: task\(s\) Killed\s*$", r"task\(s\) Killed", "flux-job: task(s) Killed"),
        wording(r"(?:[^#'\"`\n]{1,200}: )?signal: killed\s*$", "signal: killed", "signal: killed"),
        wording(
            r"(?:[^#'\"`\n]{0,200}?\s)?(?:died|exited|ended|finished|failed|terminated|crashed) (?:with )?(?:(?:exit |return )?(?:code|status)[ :=]{1,3}|status code[ :=]{1,3}|(?<=exited with ))-9(?=\s*$|[.,;)\]\s])",
            "xited with -9|code -9|code: -9|code = -9|status -9|status: -9|status = -9",
            "child process for step big unexpectedly exited with code -9",
        ),
        wording(
            r"(?!.{0,200}?\b(?:usually|indicates?|means|typically|often|generally|normally)\b)"
            r"(?:[^#]{0,200}?\s)?(?:[Kk]illed by|[Tt]erminated by|[Rr]eceived|[Ee]xited (?:on|with|by)|[Dd]ied with|interrupted by) (?:signal )?(?:9|SIGKILL|signal 9|signal SIGKILL)\b(?: \(SIGKILL\)|: SIGKILL|: Killed)?",
            "illed by signal 9|illed by SIGKILL|erminated by signal 9|erminated by SIGKILL|eceived SIGKILL|eceived signal 9|xited with signal 9|ied with signal 9|xited by signal 9|xited on signal 9|nterrupted by signal 9",
            "worker 3 was killed by signal 9",
        ),
        wording(
            # After dots, or a spinner that stands where one does: behind a colon, dots or another of its steps.
            r"(?:[\w(][^#\n]{0,160}?)(?:\.\.\.|(?:\.\.\.|:)(?:[ \x08]{1,3}[|/\\-]){1,40})\s?Killed\s*$",
            r'Killed(?:[ \t\r]*\n|[ \t\r]*\Z|\x1b|\\n|")',
            "Collecting package metadata (current_repodata.json): ...working... Killed",
        ),
        wording(
            rf"(?:{_SCRIPT}|\[[0-9]{{1,6}}\][+-]?\s+|(?<!:)(?<!:\s)(?<!:\s\s))(?:{PID}\s+)?(?:{_KILLED})(?:\s{{2,}}(?P<name>[\w./~\"$-].{{0,200}}))?\s*$",
            _KILLED,
            "./run.sh: riga 3: 12345 Ucciso                 python prep.py",
        ),
    ),
)
