# bash completion of git-muxi-secrets: for 'git muxi-secrets', where git's own
# completion loads this file by its name, and for 'git-muxi-secrets'.
#
# Keep it as ~/.local/share/bash-completion/completions/git-muxi-secrets, or have
# ~/.bashrc read it: source <(git muxi-secrets completion bash)

# Called by git's completion, which sets cur, words, cword and __git_cmd_idx.
_git_muxi_secrets ()
{
	local first=${__git_cmd_idx:-1}
	__git_muxi_secrets_reply "${words[@]:first+1:cword-first}"
}

# The program itself.
_git_muxi_secrets_direct ()
{
	local cur words cword prev
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n =: cur words cword prev
	else
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
	fi
	local -a __git_C_args=()
	local __git_dir=
	__git_muxi_secrets_reply "${words[@]:1:cword}"
}

# Asks the program, and fills COMPREPLY.
__git_muxi_secrets_reply ()
{
	local word about files= LC_ALL=C
	local -a plain=()
	# As the shell would hand them over; nothing is expanded.
	for word; do
		word=${word//\\/} word=${word//\"/} word=${word//\'/}
		plain+=("$word")
	done
	# What readline replaces begins behind the last = or :.
	local done=
	if [[ $cur == *[=:]* && ${COMP_WORDBREAKS-} == *[=:]* ]]; then
		done=${cur%"${cur##*[=:]}"}
	fi
	COMPREPLY=()
	while IFS=$'\t' read -r word about; do
		case $word in
		'') continue ;;
		:files) files=1 ;;
		:folders) files=1 ;;
		*)
			word=${word#"$done"}
			printf -v word %q "$word"
			COMPREPLY+=("$word ")
			;;
		esac
	done < <(git ${__git_C_args:+"${__git_C_args[@]}"} ${__git_dir:+--git-dir="$__git_dir"} muxi-secrets complete -- "${plain[@]}" 2>/dev/null)
	# An empty answer has bash complete file names by itself: only where files
	# are meant.
	if [[ -z $files ]]; then
		compopt +o default +o bashdefault 2>/dev/null
	elif [[ ${#COMPREPLY[@]} -gt 0 ]]; then
		# Folders beside formations.
		local typed=${cur##*[=:]}
		while IFS= read -r word; do
			printf -v word %q "$word"
			[[ " ${COMPREPLY[*]}" == *" $word "* ]] || COMPREPLY+=("$word/")
		done < <(compgen -d -- "$typed")
	fi
}

complete -o bashdefault -o default -o nospace -F _git_muxi_secrets_direct git-muxi-secrets
