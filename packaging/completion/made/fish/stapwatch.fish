function __stapwatch_ask
    set -l typed (commandline -ct | string replace -r '^[\'"]' '')
    sh -c '# Lines that may follow what is typed of a probe point.
_stapwatch_points() {
	printf \'%s\\n\' begin \'begin(\' \'begin(1)\' end \'end(\' \'end(1)\' error \'error(\' \'error(1)\' generic. \'generic.*\' init input. \'input.*\' input.char input.line ioblock. \'ioblock.*\' ioblock_trace. \'ioblock_trace.*\' ioscheduler. \'ioscheduler.*\' ioscheduler_trace. \'ioscheduler_trace.*\' ipmib. \'ipmib.*\' irq_handler. \'irq_handler.*\' json_data \'kernel.data(\' \'kernel.data("\' \'kernel.data("*")\' \'kernel.data(1)\' \'kernel.function("\' \'kernel.function("*")\' \'kernel.statement("\' \'kernel.statement("*")\' \'kernel.trace("\' \'kernel.trace("*")\' \'kernel.tracepoint("\' \'kernel.tracepoint("*")\' \'kprobe.function("\' \'kprobe.function("*")\' kprocess. \'kprocess.*\' linuxmib. \'linuxmib.*\' \'module("\' \'module("*")\' netdev. \'netdev.*\' netfilter. \'netfilter.*\' \'netfilter.hook("\' \'netfilter.hook("*")\' \'netfilter.pf("\' \'netfilter.pf("*")\' never nfs. \'nfs.*\' nfsd. \'nfsd.*\' oneshot perf. \'perf.*\' \'perf.type(\' \'perf.type(1)\' \'process(\' \'process("\' \'process("*")\' \'process(1)\' process.begin process.end process.syscall process.syscall.return process.thread.begin process.thread.end \'procfs("\' \'procfs("*")\' procfs.read \'procfs.read.maxsize(\' \'procfs.read.maxsize(1)\' \'procfs.umask(\' \'procfs.umask(1)\' procfs.write prometheus scheduler. \'scheduler.*\' scsi. \'scsi.*\' signal. \'signal.*\' socket. \'socket.*\' softirq. \'softirq.*\' sunrpc. \'sunrpc.*\' syscall. \'syscall.*\' syscall_any syscall_any. \'syscall_any.*\' tcp. \'tcp.*\' tcpmib. \'tcpmib.*\' \'timer.hz(\' \'timer.hz(1)\' \'timer.jiffies(\' \'timer.jiffies(1)\' \'timer.ms(\' \'timer.ms(1)\' \'timer.msec(\' \'timer.msec(1)\' \'timer.ns(\' \'timer.ns(1)\' \'timer.nsec(\' \'timer.nsec(1)\' timer.profile \'timer.profile.freq.hz(\' \'timer.profile.freq.hz(1)\' \'timer.s(\' \'timer.s(1)\' \'timer.sec(\' \'timer.sec(1)\' \'timer.us(\' \'timer.us(1)\' \'timer.usec(\' \'timer.usec(1)\' \'tp_syscall("\' \'tp_syscall("*")\' tty. \'tty.*\' udp. \'udp.*\' vfs. \'vfs.*\' vm. \'vm.*\' workqueue. \'workqueue.*\' | while IFS= read -r start; do
		case $start in "$1"*) printf \'%s\\n\' "$start" ;; esac
	done
	case $1 in
	*\'("\'*\'")\'.*) set -- "$1" "$1*" ;;
	*\'("\'*\'")\') return 0 ;;
	*\'("\'?*) set -- "$1" "$1*\\")" ;;
	*\\(*) return 0 ;;
	*.*) set -- "$1" "$1*" ;;
	*) return 0 ;;
	esac
	stapwatch run -l "$2" 2>/dev/null | while IFS= read -r point; do
		case $point in "$1"*) printf \'%s\\n\' "$point" ;; esac
	done
}

# The same for the text of a script, whose last word is a probe point until the handler begins.
_stapwatch_script_points() {
	case $1 in
	*\'{\'*) ;;
	probe\\ *)
		set -- "${1##*[ ,]}" "$1"
		_stapwatch_points "$1" | while IFS= read -r point; do
			printf \'%s\\n\' "${2%"$1"}$point"
		done
		;;
	*) case \'probe \' in "$1"*) printf \'%s\\n\' \'probe \' ;; esac ;;
	esac
}
"$@"
' sh $argv[1] $typed
end

complete -c stapwatch -f
complete -c stapwatch -n __fish_use_subcommand -s V -l version -d 'the release'
complete -c stapwatch -n __fish_use_subcommand -a agent -d 'run the service'
complete -c stapwatch -n __fish_use_subcommand -a run -d 'compile, load and run one script, as stap does'
complete -c stapwatch -n __fish_use_subcommand -a check -d 'compile without loading, and report all errors of each file'
complete -c stapwatch -n __fish_use_subcommand -a fmt -d 'format scripts'
complete -c stapwatch -n __fish_use_subcommand -a explain -d 'explain a script\'s hooks, metrics and cost'
complete -c stapwatch -n __fish_use_subcommand -a install -d 'make a script one of the service\'s'
complete -c stapwatch -n __fish_use_subcommand -a dashboards -d 'write dashboards and alerts for what scripts export'
complete -c stapwatch -n __fish_use_subcommand -a status -d 'show the running agent\'s scripts'
complete -c stapwatch -n __fish_use_subcommand -a arm -d 'arm scripts of the running agent that are disarmed, paused or in quarantine'
complete -c stapwatch -n __fish_use_subcommand -a disarm -d 'take scripts\' probes out of the kernel, until they are armed again'
complete -c stapwatch -n __fish_use_subcommand -a unload -d 'stop the scripts that an agent has left running'
complete -c stapwatch -n __fish_use_subcommand -a reload -d 'put the running agent\'s changed configuration and scripts in force'
complete -c stapwatch -n __fish_use_subcommand -a plan -d 'show what a reload would do and why, without doing it'
complete -c stapwatch -n __fish_use_subcommand -a prepare -d 'compile the scripts for the next kernel'
complete -c stapwatch -n __fish_use_subcommand -a build -d 'compile modules for other machines\' kernels'
complete -c stapwatch -n __fish_use_subcommand -a key -d 'make, enrol and show the key that signs modules'
complete -c stapwatch -n __fish_use_subcommand -a sync -d 'fetch modules from the configuration\'s stores'
complete -c stapwatch -n __fish_use_subcommand -a loader -d 'load modules for the agent (stapwatch-loader.service)'
complete -c stapwatch -n __fish_use_subcommand -a compiler -d 'compile scripts for the loader (stapwatch-compile@.service)'
complete -c stapwatch -n '__fish_seen_subcommand_from agent' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from agent' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from agent' -l listen -l web.listen-address -x -d 'serve this address (or unix:/path, vsock:CID:PORT) instead of the configuration\'s; may be repeated'
complete -c stapwatch -n '__fish_seen_subcommand_from agent' -l web.config.file -r -F -d 'TLS, users and limits of requests, in the format of Prometheus\' exporters'
complete -c stapwatch -n '__fish_seen_subcommand_from agent' -l insecure-files -d 'for development: read files that other users can change'
complete -c stapwatch -n '__fish_seen_subcommand_from agent' -l check -d 'check the configuration and compile its scripts, and do nothing else'
complete -c stapwatch -n '__fish_seen_subcommand_from agent' -l no-compile -d 'with --check: do not compile the scripts'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -F
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s V -l version -d 'show program\'s version number and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s p -x -a '1 2 3 4 5' -d 'end after pass N (1 to 5)'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s m -x -d 'name of the module'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s D -x -d 'set a limit'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s G -x -d 'initial value of a global'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s I -x -a '(__fish_complete_directories)' -d 'folder of library scripts'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s g -d 'guru mode: embedded C'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s e -x -a '(__stapwatch_ask _stapwatch_script_points)' -d 'the script\'s text itself'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s i -l interactive -d 'without a script: read it from the terminal, up to Ctrl-D'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s E -x -a '(__stapwatch_ask _stapwatch_script_points)' -d 'a further script; may be repeated'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s c -x -d 'run CMD, and end when it ends'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s x -x -d 'value of target()'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s T -x -d 'end after this time'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s F -d 'leave the script running: with -o in the background, else without a reader'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s A -x -d 'read a module that -F has left running'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s v -d 'report each pass; may be repeated'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l vp -x -d '-v for each pass by its digit'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s w -d 'no warnings'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s W -d 'warnings are errors'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l monitor -d 'show hits and losses on standard error, every second or so'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l color -l colour -d 'colours in messages'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s o -r -F -d 'write output to FILE, whose name may have directives of strftime(3)'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s f -l format -x -a 'text json' -d 'json: one object a line, for each print and at the end for each global'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s S -x -d 'with -o: continue in FILE.1, FILE.2, ... when FILE.0 is full; keep the last N'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s t -d 'show the hits and the time of each probe at the end'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s k -d 'keep the temporary folder'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s s -x -d 'size of each CPU\'s output buffer (default 4)'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l no-global-var-display -d 'do not print unread globals at the end'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l folded -r -F -d 'at the end, write the stacks of arrays keyed by backtraces to FILE, one a line'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l flame -r -F -d 'at the end, write them as a flame graph (SVG) to FILE'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s l -x -a '(__stapwatch_ask _stapwatch_points)' -d 'list matching probe points'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s L -x -a '(__stapwatch_ask _stapwatch_points)' -d 'list them with their variables'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l dump-functions -d 'list the functions of the library'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l dump-probe-types -d 'list the forms of probe points'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l dump-probe-aliases -d 'list the aliases of the library'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s u -d 'do not optimise'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l skip-badvars -d 'context variables that a probe does not have are 0'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l semantic-keep-going -d 'write the errors of pass 2 as a table, too'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s d -r -F -d 'a further program or library that ubacktrace() goes through; may be repeated'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -s r -x -d 'compile for this kernel, without running'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l sysroot -x -a '(__fish_complete_directories)' -d 'where -r looks for the kernel'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l compatible -x -d 'the language as that version of SystemTap had it'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l suppress-time-limits -d 'no MAXACTION, MAXTIME and MAXTRYLOCK (needs -g)'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l suppress-handler-errors -d 'errors of handlers are only counted'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l disable-cache -l poison-cache -d 'compile again'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l runtime -x -a 'kernel' -d 'kernel only'
complete -c stapwatch -n '__fish_seen_subcommand_from run' -l privilege -x -a 'stapdev' -d 'stapdev only'
complete -c stapwatch -n '__fish_seen_subcommand_from check' -F
complete -c stapwatch -n '__fish_seen_subcommand_from check' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from check' -s p -x -a '1 2 3 4' -d 'end after pass N (1 to 4)'
complete -c stapwatch -n '__fish_seen_subcommand_from check' -s m -x -d 'name of the module'
complete -c stapwatch -n '__fish_seen_subcommand_from check' -s D -x -d 'set a limit'
complete -c stapwatch -n '__fish_seen_subcommand_from check' -s G -x -d 'initial value of a global'
complete -c stapwatch -n '__fish_seen_subcommand_from check' -s I -x -a '(__fish_complete_directories)' -d 'folder of library scripts'
complete -c stapwatch -n '__fish_seen_subcommand_from check' -s g -d 'guru mode: embedded C'
complete -c stapwatch -n '__fish_seen_subcommand_from fmt' -F
complete -c stapwatch -n '__fish_seen_subcommand_from fmt' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from fmt' -l check -d 'change nothing, and name the files that would change'
complete -c stapwatch -n '__fish_seen_subcommand_from fmt' -l diff -d 'change nothing, and show what would change'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -F
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -s p -x -a '1 2 3 4' -d 'end after pass N (1 to 4)'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -s m -x -d 'name of the module'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -s D -x -d 'set a limit'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -s G -x -d 'initial value of a global'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -s I -x -a '(__fish_complete_directories)' -d 'folder of library scripts'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -s g -d 'guru mode: embedded C'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from explain' -l json -d 'print it as JSON'
complete -c stapwatch -n '__fish_seen_subcommand_from install' -F
complete -c stapwatch -n '__fish_seen_subcommand_from install' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from install' -l name -x -d 'default: the file\'s name'
complete -c stapwatch -n '__fish_seen_subcommand_from install' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from install' -l force -d 'replace files that are there already'
complete -c stapwatch -n '__fish_seen_subcommand_from install' -l dry-run -d 'show what would be written, and change nothing'
complete -c stapwatch -n '__fish_seen_subcommand_from dashboards' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from dashboards' -s o -x -a '(__fish_complete_directories)' -d 'where the files are written; default: dashboards'
complete -c stapwatch -n '__fish_seen_subcommand_from dashboards' -l format -x -a 'grafana mixin rules tables' -d 'what is written; default: grafana'
complete -c stapwatch -n '__fish_seen_subcommand_from dashboards' -l config -r -F -d 'a file or a folder; default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from dashboards' -l tables -r -F -d 'tables.json of another machine: compile nothing'
complete -c stapwatch -n '__fish_seen_subcommand_from dashboards' -l runbooks -x -d 'where alerts.md is, for runbook_url of the alerts; default: docs/alerts.md'
complete -c stapwatch -n '__fish_seen_subcommand_from dashboards' -l all -d 'scripts that are disabled, too'
complete -c stapwatch -n '__fish_seen_subcommand_from status' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from status' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from status' -l url -x -d 'ask this agent, as http://127.0.0.1:9436 or https://USER:PASSWORD@HOST:9436'
complete -c stapwatch -n '__fish_seen_subcommand_from status' -l json -d 'print the whole status as JSON'
complete -c stapwatch -n '__fish_seen_subcommand_from status' -l seconds -x -d 'measure rates for so long; default: 1'
complete -c stapwatch -n '__fish_seen_subcommand_from arm' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from arm' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from disarm' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from disarm' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from unload' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from unload' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from reload' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from reload' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from reload' -l recompile -d 'compile all scripts anew, also those that are unchanged; their counts start from 0'
complete -c stapwatch -n '__fish_seen_subcommand_from plan' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from plan' -l config -r -F -d 'a file or a folder; default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from plan' -l at -x -d 'then, as 2026-12-24T18:00Z; default: now'
complete -c stapwatch -n '__fish_seen_subcommand_from plan' -l host-facts -r -F -d 'for the host with these facts'
complete -c stapwatch -n '__fish_seen_subcommand_from plan' -l fleet -x -a '(__fish_complete_directories)' -d 'for all hosts with facts in this folder'
complete -c stapwatch -n '__fish_seen_subcommand_from plan' -l facts -d 'print this host\'s facts as YAML'
complete -c stapwatch -n '__fish_seen_subcommand_from prepare' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from prepare' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -F
complete -c stapwatch -n '__fish_seen_subcommand_from build' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l config -x -a '(__fish_complete_directories)' -d 'what hosts have as /etc/stapwatch'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l kernel -x -d ''
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l sysroot -x -a '(__fish_complete_directories)' -d 'a root folder, or a folder of root folders'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l for -r -F -d 'a query\'s JSON: the kernels\' releases'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -s o -x -a '(__fish_complete_directories)' -d 'the store\'s folder'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l index-key -r -F -d 'SSH key that signs what the store has'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l sign -r -F -d 'private key that signs modules for the kernel'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l cert -r -F -d 'its X.509 certificate'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l name -x -d 'the store\'s name, whose serials rise'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l builder -x -d 'who builds; default: release and digest of the compiler'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l serial -x -d 'default: $SOURCE_DATE_EPOCH, or the time'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l cache -x -a '(__fish_complete_directories)' -d 'where compilers keep what they have made'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l jobs -x -d 'compiles at a time; default: the CPUs'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l prune -d 'remove modules that are not wanted now'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -l deb -x -a '(__fish_complete_directories)' -d 'also make a Debian package for each kernel\'s release, with its modules'
complete -c stapwatch -n '__fish_seen_subcommand_from build' -s q -l quiet -d 'only report what is wrong'
complete -c stapwatch -n '__fish_seen_subcommand_from key' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from key' -l name -x -d 'create: the name in the certificate'
complete -c stapwatch -n '__fish_seen_subcommand_from key' -l cert -r -F -d 'enroll: another certificate, PEM or DER'
complete -c stapwatch -n '__fish_seen_subcommand_from key' -l hash-file -r -F -d 'enroll: the password\'s hash, of mokutil --generate-hash; nobody is asked then'
complete -c stapwatch -n '__fish_seen_subcommand_from key' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from sync' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from sync' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from sync' -l folder -x -a '(__fish_complete_directories)' -d 'where modules are put'
complete -c stapwatch -n '__fish_seen_subcommand_from sync' -l tell -d 'tell the running agent'
complete -c stapwatch -n '__fish_seen_subcommand_from loader' -s h -l help -d 'show this help message and exit'
complete -c stapwatch -n '__fish_seen_subcommand_from loader' -l config -r -F -d 'default: /etc/stapwatch/stapwatch.yaml'
complete -c stapwatch -n '__fish_seen_subcommand_from compiler' -s h -l help -d 'show this help message and exit'
