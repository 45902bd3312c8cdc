# fish completion of git-muxi-secrets, also as 'git muxi-secrets'.
#
# Keep it as ~/.config/fish/conf.d/git-muxi-secrets.fish. In the folder
# completions, fish 3.6 would find it for 'git-muxi-secrets' alone.

function __git_muxi_secrets_complete
    set -l words (commandline -opc)
    set -l before
    # In front of the command's name stand 'git' and its own flags.
    if set -l at (contains -i -- muxi-secrets $words)
        test $at -gt 2; and set before $words[2..(math $at - 1)]
        set -e words[1..$at]
    else
        set -e words[1]
    end
    set -l typed (commandline -ct)
    for line in (git $before muxi-secrets complete -- $words "$typed" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path $typed
            case :folders
                __fish_complete_directories $typed ''
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c git-muxi-secrets -f -a '(__git_muxi_secrets_complete)'
complete -c git -f -n 'contains -- muxi-secrets (commandline -opc)' -a '(__git_muxi_secrets_complete)'
complete -c git -f -n 'test (count (commandline -opc)) -eq 1' -a muxi-secrets -d 'keep the API keys of MUXI formations in git, encrypted'
