import { UserError } from '../../../lib/errors.js';
import { clientExit, type Call } from '../context.js';
import { filterKeys, submitKeys } from '../job-words.js';
import { settingNames } from '../settings.js';

/** `completion [bash|zsh]` */
export function completionCommand({ words, context }: Call, names: readonly string[]): Promise<number> {
  const [shell = 'bash', ...more] = words;
  if ((shell !== 'bash' && shell !== 'zsh') || more.length > 0)
    throw new UserError(`${words.join(' ')}: there are scripts for bash and zsh`);
  context.out(completionScript(shell, names));
  return Promise.resolve(clientExit.ok);
}

/** Commands, `key=` of the place, states, words of stat, files, and job ids asked of the agent. */
export function completionScript(shell: 'bash' | 'zsh', names: readonly string[]): string {
  const equals = (keys: readonly string[]): string => keys.map((key) => `${key}=`).join(' ');
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}# completion of meeseeks-client
_meeseeks_client() {
  local line word command="" options=() i keys="" more=""
  line="\${COMP_LINE:0:COMP_POINT}"
  word=""
  [[ $line == *[[:space:]] ]] || word="\${line##*[[:space:]]}"
  local words
  read -ra words <<<"\${line%"$word"}"
  case "\${words[0]##*/}" in
    qsub|qstat|qjob|qdel|qmod|qconf) command="\${words[0]##*/}"; command="\${command#q}" ;;
  esac
  for ((i = 1; i < \${#words[@]}; i++)); do
    [[ -n $command ]] && break
    case "\${words[i]}" in
      *=*) options+=("\${words[i]}") ;;
      -*) ;;
      *) command="\${words[i]}" ;;
    esac
  done
  case "$command" in
    "") keys="${equals(settingNames)}"; more="${names.join(' ')} --json --help --version" ;;
    sub|submit) keys="${equals(submitKeys)}" ;;
    stat|show|top) keys="${equals(filterKeys)}"; more="nodes pools jobs active tree all --all --json --help" ;;
    mod|set) keys="${equals([...new Set([...filterKeys, ...submitKeys])])}"; more="IDS --json --help" ;;
    job|get|ls|del|kill|events) keys="${equals(filterKeys)}"; more="IDS --json --help" ;;
    wait) more="IDS --json --help" ;;
    logs) more="IDS -f --follow --help" ;;
    completion) more="bash zsh" ;;
    *) more="--json --help" ;;
  esac
  if [[ $more == IDS* ]]; then
    more="\${more#IDS} $(meeseeks-client "\${options[@]}" timeout=1 ls --plain 2>/dev/null)"
  fi
  local value="" prefix=""
  if [[ $word == *=* ]]; then
    # bash parts words at "=": only what follows it is replaced
    value="\${word#*=}"
    [[ $COMP_WORDBREAKS == *=* ]] || prefix="\${word%%=*}="
    case "$word" in
      state=*) COMPREPLY=($(compgen -P "$prefix" -W "new running done failed killed" -- "$value")) ;;
      hold=*|restart=*|resubmit=*|active=*) COMPREPLY=($(compgen -P "$prefix" -W "0 1" -- "$value")) ;;
      env=*) COMPREPLY=($(compgen -P "$prefix" -W "all none" -- "$value")) ;;
      *) COMPREPLY=($(compgen -P "$prefix" -f -- "$value")) ;;
    esac
    return
  fi
  COMPREPLY=($(compgen -W "$keys $more" -- "$word"))
  [[ $command == sub || $command == submit ]] && COMPREPLY+=($(compgen -f -- "$word"))
  [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _meeseeks_client meeseeks-client qsub qstat qjob qdel qmod qconf
`;
}
