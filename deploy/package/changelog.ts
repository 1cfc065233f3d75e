import { maintainer } from './control.ts'
import { wrap } from './text.ts'

/** CHANGELOG.md as Debian writes it (deb-changelog(5)). What is not released yet belongs to `version`, made at `epochS`. */
export function debianChangelog(markdown: string, version: string, revision: string, epochS: number): string {
  const [, ...sections] = markdown.split(/^## /m)
  const entries = sections.map((section) => {
    const [title = '', ...lines] = section.split('\n')
    const [, released, date] = /^\[?(\d[^\] ]*)\]?(?: - (\S+))?/.exec(title) ?? []
    const items = itemsOf(lines)
    if (items.length === 0) return ''
    const stamp = date === undefined ? new Date(epochS * 1000) : new Date(`${date}T00:00:00Z`)
    return [
      `sightd (${released ?? version}-${revision}) unstable; urgency=medium\n`,
      `${items.map((item) => wrap(item, { first: '  * ', next: '    ' })).join('\n')}\n`,
      ` -- ${maintainer}  ${stamp.toUTCString().replace('GMT', '+0000')}\n`,
    ].join('\n')
  })
  return entries.filter((entry) => entry !== '').join('\n')
}

/** The items of Markdown lists, each on one line. */
function itemsOf(lines: readonly string[]): string[] {
  const items: string[] = []
  for (const line of lines) {
    if (line.startsWith('- ')) items.push(line.slice(2))
    else if (line.startsWith('  ') && items.length > 0) items.push(`${items.pop()} ${line.trim()}`)
  }
  return items
}
