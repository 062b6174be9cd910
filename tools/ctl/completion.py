#!/usr/bin/env python3
"""
Completion scripts for bash and zsh, from the command table (a dump as `cjabberd --dump-api` prints it).

usage: completion.py DUMP TOOL.bash _TOOL completion_data.c

The scripts need no server; where one runs, it is asked for the names of its hosts.
"""
import json
import pathlib
import sys

# What the tool does without the server; server.c has the same list.
VERBS = {
    "start": "start the server in the background", "foreground": "run the server here, its log on standard error",
    "foreground-quiet": "run the server here, its log in files only", "live": "show the log of the running server",
    "started": "wait until the server serves", "stopped": "wait until no server runs", "ping": "pong when the server answers",
    "debug": "what stands in for an Erlang shell", "etop": "what stands in for a list of Erlang processes",
    "completion": "print the completion script for a shell"}
OPTIONS = {
    "--version": ("N", "API version of the command"), "--json": (None, "print the result as JSON"),
    "--dry-run": (None, "say what would be touched, touch nothing"), "--auth": ("user host password", "run it as this account"),
    "--batch": ("FILE", "run the commands of a file"), "--keep-going": (None, "go on after a command of the file that failed"),
    "--spool": ("DIR", "spool folder of the server"), "--logs": ("DIR", "folder of its log files"),
    "--config": ("FILE", "its configuration"), "--config-dir": ("DIR", "folder with ejabberd.yml and ejabberdctl.cfg"),
    "--ctl-config": ("FILE", "settings in place of ejabberdctl.cfg"), "--node": ("NAME", "node name of a server that is started"),
    "--server": ("FILE", "the server's program"), "--timeout": ("SECONDS", "of start, started, stopped")}
WORDS = {"loglevel": "none emergency alert critical error warning notice info debug"}
FILES = {"file", "out", "in", "FILE"}
FOLDERS = {"dir", "DIR"}
HOSTS = {"host", "localhost"}


def commands(dump):
    """name -> (brief, [(argument, help)]), as the newest API version has it."""
    found = {}
    for name, c in dump.items():
        if c["internal"]:
            continue
        newest = c["versions"][max(c["versions"], key=int)]
        found[name] = (c["brief"] or name, [(a["name"], a["help"] or a["type"]) for a in newest["args"]])
    return found


def tags(dump):
    return sorted({t for c in dump.values() if not c["internal"] for v in c["versions"].values() for t in v["tags"]})


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


BASH = r"""# bash completion for cjabberdctl and ejabberdctl; made from the command table.
_cjabberdctl_commands=@COMMANDS@
_cjabberdctl_tags=@TAGS@

_cjabberdctl_args() {
    case $1 in
@ARGS@    esac
}

# A hint that cannot be taken for a word: two candidates without a common beginning are shown and nothing is inserted.
_cjabberdctl_hint() {
    [ -n "$cur" ] || COMPREPLY=("<$1>" " ")
}

_cjabberdctl_value() {
    case $1 in
        loglevel) COMPREPLY=($(compgen -W "@LOGLEVELS@" -- "$cur")) ;;
        @FILES@) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
        @FOLDERS@) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")) ;;
        @HOSTS@)
            COMPREPLY=($(compgen -W "$("$program" "${place[@]}" registered_vhosts 2>/dev/null)" -- "$cur"))
            [ ${#COMPREPLY[@]} -gt 0 ] || _cjabberdctl_hint "$1" ;;
        *) _cjabberdctl_hint "$1" ;;
    esac
}

_cjabberdctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} i=1 word args place=()
    COMPREPLY=()
    while [ $i -lt $COMP_CWORD ]; do
        word=${COMP_WORDS[i]}
        case $word in
@OPTION_VALUES@            --auth)
                case $((COMP_CWORD - i)) in
                    1) _cjabberdctl_value user; return ;;
                    2) _cjabberdctl_value host; return ;;
                    3) _cjabberdctl_value password; return ;;
                esac
                i=$((i + 4)) ;;
            --*) i=$((i + 1)) ;;
            *) break ;;
        esac
    done
    if [ $i -ge $COMP_CWORD ]; then
        case $cur in
            -*) COMPREPLY=($(compgen -W "@OPTIONS@" -- "$cur")) ;;
            *) COMPREPLY=($(compgen -W "$_cjabberdctl_commands @VERBS@" -- "${cur//-/_}"))
                [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -W "@VERBS@" -- "$cur")) ;;
        esac
        return
    fi
    word=${COMP_WORDS[i]}
    case $word in
        help) [ $((COMP_CWORD - i)) -eq 1 ] &&
                COMPREPLY=($(compgen -W "tags commands $_cjabberdctl_tags $_cjabberdctl_commands" -- "$cur"))
            return ;;
        completion) COMPREPLY=($(compgen -W "bash zsh" -- "$cur")); return ;;
    esac
    args=($(_cjabberdctl_args "${word//-/_}"))
    i=$((COMP_CWORD - i - 1))
    [ $i -ge ${#args[@]} ] || _cjabberdctl_value "${args[i]}"
}

complete -F _cjabberdctl cjabberdctl ejabberdctl
"""

ZSH = r"""#compdef cjabberdctl ejabberdctl
# zsh completion for cjabberdctl and ejabberdctl; made from the command table.

_cjabberdctl_commands() {
    local -a list
    list=(
@DESCRIBED@    )
    _describe -t commands 'command' list
}

_cjabberdctl_tags() {
    local -a list
    list=(tags commands @TAGS@)
    _describe -t tags 'tag' list
    _cjabberdctl_commands
}

_cjabberdctl_hosts() {
    local -a list
    list=(${(f)"$(_call_program hosts $words[1] registered_vhosts 2>/dev/null)"})
    (( $#list )) && _describe -t hosts 'host' list || _message 'host'
}

_cjabberdctl_args() {
    local -a args
    case ${words[1]//-/_} in
        help) _arguments ':tag or command:_cjabberdctl_tags'; return ;;
        completion) _arguments ':shell:(bash zsh)'; return ;;
@ARGS@        *) args=() ;;
    esac
    (( $#args )) && _arguments $args || _message 'no arguments'
}

_cjabberdctl() {
    local curcontext="$curcontext" state line
    _arguments -C \
@OPTIONS@        ':command:_cjabberdctl_commands' '*::argument:->args'
    [[ $state == args ]] && _cjabberdctl_args
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _cjabberdctl "$@"
else
    compdef _cjabberdctl cjabberdctl ejabberdctl
fi
"""


def fill(template, **values):
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def bash(table, all_tags):
    args = "".join(f"        {name}) echo {' '.join(a for a, _ in args)} ;;\n" for name, (_, args) in table.items() if args)
    values = ""
    for option, (value, _) in OPTIONS.items():
        if value and option != "--auth":
            words = "COMPREPLY=($(compgen -W '0 1 2 3' -- \"$cur\"))" if option == "--version" else f"_cjabberdctl_value {value}"
            keep = 'place+=("$word" "${COMP_WORDS[i + 1]}"); ' if option in ("--spool", "--config-dir", "--ctl-config") else ""
            values += f"            {option}) [ $((COMP_CWORD - i)) -gt 1 ] || {{ {words}; return; }}\n                {keep}i=$((i + 2)) ;;\n"
    return fill(BASH, COMMANDS=quote(" ".join(table)), TAGS=quote(" ".join(all_tags)), ARGS=args, LOGLEVELS=WORDS["loglevel"],
                FILES="|".join(sorted(FILES)), FOLDERS="|".join(sorted(FOLDERS)), HOSTS="|".join(sorted(HOSTS)),
                OPTION_VALUES=values, OPTIONS=" ".join(OPTIONS), VERBS=" ".join(VERBS))


def zsh_word(text):
    """Inside _arguments and _describe a colon separates."""
    return text.replace("\\", "\\\\").replace(":", "\\:").replace("[", "\\[").replace("]", "\\]")


def zsh_action(name):
    if name in WORDS:
        return f"({WORDS[name]})"
    return "_files" if name in FILES else "_files -/" if name in FOLDERS else "_cjabberdctl_hosts" if name in HOSTS else " "


def zsh_option(name, value, text):
    spec = f"{name}[{zsh_word(text)}]"
    for word in (value or "").split():
        spec += f":{word}:{'(0 1 2 3)' if name == '--version' else zsh_action(word)}"
    return quote(spec)


def zsh(table, all_tags):
    described = {name: brief for name, (brief, _) in table.items()} | VERBS
    args = ""
    for name, (_, given) in table.items():
        if given:
            specs = " ".join(quote(f":{a} - {zsh_word(text.splitlines()[0])}:{zsh_action(a)}") for a, text in given)
            args += f"        {name}) args=({specs}) ;;\n"
    options = "".join(f"        {zsh_option(n, v, t)} \\\n" for n, (v, t) in OPTIONS.items())
    return fill(ZSH, DESCRIBED="".join(f"        {quote(n + ':' + zsh_word(b))}\n" for n, b in described.items()),
                TAGS=" ".join(all_tags), ARGS=args, OPTIONS=options)


def c_text(name, text):
    out = f"const char {name}[] =\n"
    for line in text.splitlines(keepends=True):
        escaped = "".join(f"\\{ch}" if ch in '"\\' else "\\n" if ch == "\n" else ch for ch in line)
        out += f'    "{escaped}"\n'
    return out[:-1] + ";\n"


def main():
    dump_file, bash_file, zsh_file, c_file = map(pathlib.Path, sys.argv[1:])
    dump = json.loads(dump_file.read_text(encoding="utf-8"))
    texts = [bash(commands(dump), tags(dump)), zsh(commands(dump), tags(dump))]
    bash_file.write_text(texts[0], encoding="utf-8")
    zsh_file.write_text(texts[1], encoding="utf-8")
    c_file.write_text("/* Made by tools/ctl/completion.py from the command table. */\n#include \"ctl.h\"\n\n"
                      + c_text("completion_bash", texts[0]) + "\n" + c_text("completion_zsh", texts[1]), encoding="utf-8")


if __name__ == "__main__":
    main()
