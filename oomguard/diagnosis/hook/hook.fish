# oomguard's hook for fish: after a command, says when the kernel killed something for memory, or when the command ended
# with 137 (SIGKILL). No process is started; $status, $pipestatus and other hooks stay as they are.
# Sources: /proc/vmstat (oom_kill, since Linux 4.13); memory.events and memory.oom_control of the shell's own cgroup.
if status is-interactive; and not set -q __oomguard_shell
    set -g __oomguard_shell $fish_pid
    set -g __oomguard_file ''

    # The counter in the file given; nothing where there is none.
    function __oomguard_read
        test -r $argv[1]; and string match -r -g '^oom_kill ([0-9]+)$' <$argv[1]
    end

    # The file in which the kernel counts the kills of this shell's own cgroup.
    function __oomguard_find
        while read -l line
            set -l where (string replace -r '^[^:]*:[^:]*:/?' '/' -- $line)
            set -l tries
            if string match -q '0::*' -- $line
                set tries /sys/fs/cgroup$where/memory.events /sys/fs/cgroup/unified$where/memory.events
            else if string match -q -r '^[0-9]+:([^:]*,)?memory(,[^:]*)?:' -- $line
                set tries /sys/fs/cgroup/memory$where/memory.oom_control
            end
            for file in $tries
                if test -r $file
                    set -g __oomguard_file $file
                    return
                end
            end
        end </proc/self/cgroup
    end

    function __oomguard_postexec --on-event fish_postexec
        # First of all: each further command changes both.
        set -l codes $status $pipestatus
        set -l machine 0
        set -l own 0
        set -l count (__oomguard_read /proc/vmstat)
        if test -n "$count" -a -n "$__oomguard_machine"
            set machine (math $count - $__oomguard_machine)
        end
        set -g __oomguard_machine $count
        if test -n "$__oomguard_file"
            set count (__oomguard_read $__oomguard_file)
            if test -n "$count" -a -n "$__oomguard_own"
                set own (math $count - $__oomguard_own)
            end
            set -g __oomguard_own $count
        end
        if test $machine -gt 0 -o $own -gt 0; or contains 137 $codes
            set -l what (string replace -r -a '[^[:print:]]' ' ' -- (string join ' ' -- $argv))
            if test (string length -- "$what") -gt 60
                set what (string sub -l 57 -- $what)...
            end
            set -l ending ''
            if test $own -gt 1; or test $own -lt 1 -a $machine -gt 1
                set ending es
            end
            set -l told
            if test $own -gt 0
                set told "the kernel OOM-killed $own process$ending of this shell's cgroup during '$what'"
            else if test $machine -gt 0
                set told "the kernel OOM-killed $machine process$ending somewhere on this machine during '$what'"
            else if test -z "$__oomguard_machine"
                set told "exit status 137 (SIGKILL) during '$what'; whether the kernel OOM-killed it cannot be read here"
            else
                set told "exit status 137 (SIGKILL) during '$what', but the kernel OOM-killed nothing in that time"
            end
            printf 'oomguard: %s. What happened: oomguard diagnose\n' $told >&2
        end
    end

    __oomguard_find
    set -g __oomguard_machine (__oomguard_read /proc/vmstat)
    set -g __oomguard_own
    test -n "$__oomguard_file"; and set -g __oomguard_own (__oomguard_read $__oomguard_file)
end
