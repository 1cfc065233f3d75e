/** Breaks a text into lines of at most 78 characters, with something before the first and something before the others. */
export function wrap(text: string, { first, next }: { first: string; next: string }): string {
  const lines: string[] = []
  let line = first
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line.trim() !== first.trim() && line.trim() !== '' && line.length + word.length > 77) {
      lines.push(line.trimEnd())
      line = next
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()].join('\n')
}
