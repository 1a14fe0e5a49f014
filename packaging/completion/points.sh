# Lines that may follow what is typed of a probe point.
_stapwatch_points() {
	printf '%s\n' @STARTS@ | while IFS= read -r start; do
		case $start in "$1"*) printf '%s\n' "$start" ;; esac
	done
	case $1 in
	*'("'*'")'.*) set -- "$1" "$1*" ;;
	*'("'*'")') return 0 ;;
	*'("'?*) set -- "$1" "$1*\")" ;;
	*\(*) return 0 ;;
	*.*) set -- "$1" "$1*" ;;
	*) return 0 ;;
	esac
	stapwatch run -l "$2" 2>/dev/null | while IFS= read -r point; do
		case $point in "$1"*) printf '%s\n' "$point" ;; esac
	done
}

# The same for the text of a script, whose last word is a probe point until the handler begins.
_stapwatch_script_points() {
	case $1 in
	*'{'*) ;;
	probe\ *)
		set -- "${1##*[ ,]}" "$1"
		_stapwatch_points "$1" | while IFS= read -r point; do
			printf '%s\n' "${2%"$1"}$point"
		done
		;;
	*) case 'probe ' in "$1"*) printf '%s\n' 'probe ' ;; esac ;;
	esac
}
