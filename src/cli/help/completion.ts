import type { Argv } from 'yargs';
import { z } from 'zod';
import { childSchemas, objectKeys } from '../../config/schema-walk.js';

/** What can be typed behind the name of a program. */
export interface Vocabulary {
  readonly program: string;
  /** only as the first word */
  readonly commands: readonly string[];
  readonly options: readonly string[];
  /** `key=`, and `section.` where names of one's own follow */
  readonly keys: readonly string[];
}

/** The keys of a configuration as they are typed on a command line. Pure. */
export function completionKeys(root: z.ZodObject): string[] {
  return Object.keys(root.shape)
    .filter((key) => key !== '$schema')
    .flatMap((key) => {
      const children = childSchemas(root, key);
      const nested = children.flatMap(objectKeys);
      if (nested.length > 0) return nested.map((child) => `${key}.${child}=`);
      return children.some((one) => one instanceof z.ZodRecord) ? [`${key}.`] : [`${key}=`];
    });
}

/** The argument of the command `completion`. */
export const withShell = <T>(y: Argv<T>) =>
  y.positional('shell', {
    choices: ['bash', 'zsh'] as const,
    default: 'bash' as const,
    describe: 'the shell it is for',
  });

/** The script: commands, options, keys and files. Pure. */
export function completionScript(
  shell: 'bash' | 'zsh',
  { program, commands, options, keys }: Vocabulary,
): string {
  const name = `_${program.replaceAll('-', '_')}`;
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}# completion of ${program}
${name}() {
  local line="\${COMP_LINE:0:COMP_POINT}" word="" first="" words i
  [[ $line == *[[:space:]] ]] || word="\${line##*[[:space:]]}"
  read -ra words <<<"\${line%"$word"}"
  for ((i = 1; i < \${#words[@]}; i++)); do
    [[ \${words[i]} == -* ]] || first="\${words[i]}"
    [[ -n $first ]] && break
  done
  case "\${words[\${#words[@]} - 1]}" in
    --log-level) COMPREPLY=($(compgen -W "trace debug info warn error fatal" -- "$word")); return ;;
    --log-format) COMPREPLY=($(compgen -W "auto pretty json" -- "$word")); return ;;
    --state) COMPREPLY=($(compgen -W "done failed killed new" -- "$word")); return ;;
    completion) COMPREPLY=($(compgen -W "bash zsh" -- "$word")); return ;;
  esac
  if [[ $word == *=* ]]; then
    # bash parts words at "=": only what follows it is replaced
    local prefix=""
    [[ $COMP_WORDBREAKS == *=* ]] || prefix="\${word%%=*}="
    COMPREPLY=($(compgen -P "$prefix" -f -- "\${word#*=}"))
    return
  fi
  local more="${options.join(' ')} ${keys.join(' ')}"
  [[ -n $first ]] || more="${commands.join(' ')} $more"
  COMPREPLY=($(compgen -W "$more" -- "$word") $(compgen -f -- "$word"))
  [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F ${name} ${program}
`;
}
