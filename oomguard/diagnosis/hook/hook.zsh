# oomguard's hook for zsh: after a command, says when the kernel killed something for memory, or when the command ended
# with 137 (SIGKILL). No process is started; $?, pipestatus and other hooks stay as they are.
# Sources: /proc/vmstat (oom_kill, since Linux 4.13); memory.events and memory.oom_control of the shell's own cgroup.
if [[ -o interactive && -z ${__oomguard_shell-} ]] && zmodload zsh/system 2>/dev/null; then
    typeset -g __oomguard_shell=$$ __oomguard_file='' __oomguard_machine='' __oomguard_own='' __oomguard_ran='' __oomguard_command=''
    typeset -g __oomguard_count=''

    # The counter in $1: in __oomguard_count, empty where there is none.
    __oomguard_read() {
        emulate -L zsh
        local part text='' fd
        __oomguard_count=''
        { sysopen -r -u fd -- "$1" } 2>/dev/null || return 0
        while sysread -i $fd -s 65536 part; do
            text+=$part
        done
        exec {fd}<&-
        text=$'\n'$text
        [[ $text == *$'\n''oom_kill '* ]] || return 0
        text=${text##*$'\n'oom_kill }
        __oomguard_count=${text%%$'\n'*}
        return 0
    }

    # The file in which the kernel counts the kills of this shell's own cgroup.
    __oomguard_find() {
        emulate -L zsh
        local part text='' fd line where
        { sysopen -r -u fd -- /proc/self/cgroup } 2>/dev/null || return 0
        while sysread -i $fd -s 65536 part; do
            text+=$part
        done
        exec {fd}<&-
        for line in ${(f)text}; do
            where=${${line#*:}#*:}
            [[ $where != / ]] || where=''
            if [[ $line == 0::* ]]; then
                for __oomguard_file in /sys/fs/cgroup$where/memory.events /sys/fs/cgroup/unified$where/memory.events; do
                    [[ ! -r $__oomguard_file ]] || return 0
                done
            elif [[ ",${${line#*:}%%:*}," == *,memory,* ]]; then
                __oomguard_file=/sys/fs/cgroup/memory$where/memory.oom_control
                [[ ! -r $__oomguard_file ]] || return 0
            fi
        done
        __oomguard_file=''
        return 0
    }

    __oomguard_preexec() {
        __oomguard_ran=yes __oomguard_command=$1
    }

    __oomguard_precmd() {
        # First of all, in one command: each further one changes both.
        local code=$? pipe=" ${pipestatus[*]} "
        emulate -L zsh
        local -i own=0 machine=0
        local ran=$__oomguard_ran killed='' what='' told='' ending=''
        __oomguard_ran=''
        [[ -z $ran || ( $code != 137 && $pipe != *' 137 '* ) ]] || killed=yes
        __oomguard_read /proc/vmstat
        [[ -z $__oomguard_count || -z $__oomguard_machine ]] || machine=$(( __oomguard_count - __oomguard_machine ))
        __oomguard_machine=$__oomguard_count
        if [[ -n $__oomguard_file ]]; then
            __oomguard_read $__oomguard_file
            [[ -z $__oomguard_count || -z $__oomguard_own ]] || own=$(( __oomguard_count - __oomguard_own ))
            __oomguard_own=$__oomguard_count
        fi
        if (( machine > 0 || own > 0 )) || [[ -n $killed ]]; then
            what='since the last prompt'
            if [[ -n $ran ]]; then
                what=${__oomguard_command//[^[:print:]]/ }
                (( ${#what} <= 60 )) || what=${what[1,57]}...
                what="during '${what:-the last command}'"
            fi
            (( own > 1 || own < 1 && machine > 1 )) && ending=es
            if (( own > 0 )); then
                told="the kernel OOM-killed $own process$ending of this shell's cgroup $what"
            elif (( machine > 0 )); then
                told="the kernel OOM-killed $machine process$ending somewhere on this machine $what"
            elif [[ -z $__oomguard_machine ]]; then
                told="exit status 137 (SIGKILL) $what; whether the kernel OOM-killed it cannot be read here"
            else
                told="exit status 137 (SIGKILL) $what, but the kernel OOM-killed nothing in that time"
            fi
            builtin printf 'oomguard: %s. What happened: oomguard diagnose\n' $told >&2
        fi
        return code
    }

    __oomguard_find
    __oomguard_read /proc/vmstat
    __oomguard_machine=$__oomguard_count
    [[ -z $__oomguard_file ]] || { __oomguard_read $__oomguard_file && __oomguard_own=$__oomguard_count }
    typeset -ga preexec_functions precmd_functions
    preexec_functions=(__oomguard_preexec $preexec_functions)
    precmd_functions=(__oomguard_precmd $precmd_functions)
fi
