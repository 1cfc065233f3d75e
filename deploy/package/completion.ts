/** What one command offers, by its help. */
type Offer = { readonly path: string; readonly words: readonly string[]; readonly values: readonly string[] }

/**
 * Bash completion made of what `sightd … --help` says, so that it can't fall behind. `help` gives the help of a command,
 * named by its words (none: the program itself).
 */
export function bashCompletion(help: (words: readonly string[]) => string): string {
  const offers: Offer[] = []
  const visit = (words: readonly string[]) => {
    const text = help(words)
    const commands = entriesIn(text, 'Commands').filter(({ name }) => name !== 'help')
    const options = entriesIn(text, 'Options').filter(({ name }) => name.startsWith('-'))
    offers.push({
      path: ['sightd', ...words].join(' '),
      words: [...commands.map(({ name }) => name), ...options.map(({ name }) => name)],
      values: options.filter(({ takesValue }) => takesValue).flatMap(({ name, short }) => [name, ...short]),
    })
    for (const { name } of commands) visit([...words, name])
  }
  visit([])
  const deeper = offers.slice(1).map(({ path }) => `'${path}'`)
  return `# bash completion for sightd(1); made from its --help.

_sightd() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} at=sightd words='' values='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${deeper.join(' | ')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case $at in
${offers.map(({ path, words, values }) => `    '${path}') words='${words.join(' ')}' values='${values.join(' ')}' ;;`).join('\n')}
  esac
  # Most values and arguments are files and folders; the shell finds those.
  COMPREPLY=()
  [[ " $values " == *" $before "* ]] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
} && complete -o default -F _sightd sightd
`
}

type Entry = { readonly name: string; readonly short: readonly string[]; readonly takesValue: boolean }

/** The lines of one part of a help text: `  -c, --config <file>  what it does`. */
function entriesIn(text: string, title: string): Entry[] {
  const [, part = ''] = text.split(`\n${title}:\n`)
  const [lines = ''] = part.split('\n\n')
  return lines.split('\n').flatMap((line) => {
    const [, short, name, value] = /^ {2}(?:(-\w), )?([a-z-][\w-]*)(?: ([<[]))?/.exec(line) ?? []
    if (name === undefined) return []
    return [{ name, short: short === undefined ? [] : [short], takesValue: value !== undefined }]
  })
}
