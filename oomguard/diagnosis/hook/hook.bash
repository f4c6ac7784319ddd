# oomguard's hook for bash: after a command, says when the kernel killed something for memory, or when the command ended
# with 137 (SIGKILL). No process is started at a prompt; $?, PIPESTATUS and other hooks stay as they are.
# Sources: /proc/vmstat (oom_kill, since Linux 4.13); memory.events and memory.oom_control of the shell's own cgroup.
if [[ $- == *i* && -z ${__oomguard_shell-} ]]; then
    __oomguard_shell=$$ __oomguard_line='' __oomguard_file='' __oomguard_machine='' __oomguard_own=''

    # The counter in $1, on the line that was found before or on any: in __oomguard_count, empty where there is none.
    __oomguard_read() {
        local IFS=$' \t\n' lines=() line
        __oomguard_count=''
        if [[ $1 == /proc/vmstat && -n $__oomguard_line ]]; then
            { mapfile -t -s "$__oomguard_line" -n 1 lines <"$1"; } 2>/dev/null
            if [[ ${lines[0]-} == 'oom_kill '* ]]; then
                __oomguard_count=${lines[0]#oom_kill }
                return 0
            fi
        fi
        { mapfile -t lines <"$1"; } 2>/dev/null
        for line in "${!lines[@]}"; do
            if [[ ${lines[line]} == 'oom_kill '* ]]; then
                __oomguard_count=${lines[line]#oom_kill }
                [[ $1 != /proc/vmstat ]] || __oomguard_line=$line
                return 0
            fi
        done
        return 0
    }

    # The file in which the kernel counts the kills of this shell's own cgroup.
    __oomguard_find() {
        local IFS=$' \t\n' lines=() line path controllers
        { mapfile -t lines </proc/self/cgroup; } 2>/dev/null
        for line in "${lines[@]}"; do
            path=${line#*:}
            controllers=${path%%:*}
            path=${path#*:}
            [[ $path != / ]] || path=''
            if [[ $line == 0::* ]]; then
                for __oomguard_file in /sys/fs/cgroup"$path"/memory.events /sys/fs/cgroup/unified"$path"/memory.events; do
                    [[ ! -r $__oomguard_file ]] || return 0
                done
            elif [[ ,$controllers, == *,memory,* ]]; then
                __oomguard_file=/sys/fs/cgroup/memory$path/memory.oom_control
                [[ ! -r $__oomguard_file ]] || return 0
            fi
        done
        __oomguard_file=''
        return 0
    }

    __oomguard_prompt() {
        # First of all, in one command: each further one changes both.
        local status=$? pipe=" ${PIPESTATUS[*]} " ran=${__oomguard_ran+yes} machine=0 own=0 killed='' what='' told=''
        unset -v __oomguard_ran
        [[ -n ${__oomguard_ps0-} ]] || ran=yes
        [[ -z $ran || ( $status != 137 && $pipe != *' 137 '* ) ]] || killed=yes
        __oomguard_read /proc/vmstat
        [[ -z $__oomguard_count || -z $__oomguard_machine ]] || machine=$((__oomguard_count - __oomguard_machine))
        __oomguard_machine=$__oomguard_count
        if [[ -n $__oomguard_file ]]; then
            __oomguard_read "$__oomguard_file"
            [[ -z $__oomguard_count || -z $__oomguard_own ]] || own=$((__oomguard_count - __oomguard_own))
            __oomguard_own=$__oomguard_count
        fi
        if ((machine > 0 || own > 0)) || [[ -n $killed ]]; then
            what='since the last prompt'
            if [[ -n $ran ]]; then
                # Only now is a process started, for the name of the command.
                what=$(HISTTIMEFORMAT='' builtin history 1 2>/dev/null)
                what=${what#"${what%%[![:space:]]*}"} what=${what#* } what=${what#"${what%%[![:space:]]*}"}
                what=${what//[![:print:]]/ }
                ((${#what} <= 60)) || what=${what:0:57}...
                what="during '${what:-the last command}'"
            fi
            local times='' so=''
            ((own > 1 || own < 1 && machine > 1)) && times=es
            ((own > 0)) && so=$own || so=$machine
            if ((own > 0)); then
                told="the kernel OOM-killed $so process$times of this shell's cgroup $what"
            elif ((machine > 0)); then
                told="the kernel OOM-killed $so process$times somewhere on this machine $what"
            elif [[ -z $__oomguard_machine ]]; then
                told="exit status 137 (SIGKILL) $what; whether the kernel OOM-killed it cannot be read here"
            else
                told="exit status 137 (SIGKILL) $what, but the kernel OOM-killed nothing in that time"
            fi
            builtin printf 'oomguard: %s. What happened: oomguard diagnose\n' "$told" >&2
        fi
        return "$status"
    }

    __oomguard_find
    __oomguard_read /proc/vmstat
    __oomguard_machine=$__oomguard_count
    [[ -z $__oomguard_file ]] || { __oomguard_read "$__oomguard_file" && __oomguard_own=$__oomguard_count; }
    # PS0 is expanded between Enter and the command: an empty line is no command, whatever $? still says.
    if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) && shopt -q promptvars; then
        PS0="${PS0-}"'${__oomguard_ran=}' __oomguard_ps0=yes
    fi
    if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)); then
        # Each command of the array is given $? and PIPESTATUS anew.
        PROMPT_COMMAND=(__oomguard_prompt ${PROMPT_COMMAND[@]+"${PROMPT_COMMAND[@]}"})
    else
        PROMPT_COMMAND="__oomguard_prompt${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
    fi
fi
