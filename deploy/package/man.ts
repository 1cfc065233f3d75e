/** Makes a page of the manual (man(7), tables by tbl(1)) of docs/sightd.md, so that there is one text to keep true. */
export function manPage(markdown: string, version: string, epochS: number): string {
  const [, name = '', section = '1'] = /^# (\S+)\((\d)\)/.exec(markdown) ?? []
  const date = new Date(epochS * 1000).toISOString().slice(0, 10)
  const body = blocksOf(markdown.slice(markdown.indexOf('\n')))
    .map((block, index, all) => roff(block, all[index - 1]))
    .join('\n')
  return `'\\" t
.TH ${name.toUpperCase()} ${section} "${date}" "${name} ${version}" "User Commands"
.nh
.ad l
${body}
.SH SEE ALSO
The Markdown files in /usr/share/doc/sightd: install.md, configuration.md, mqtt-topics.md, ota.md
`
}

type Block =
  | { readonly kind: 'heading' | 'paragraph' | 'item'; readonly text: string }
  | { readonly kind: 'code'; readonly lines: readonly string[] }
  | { readonly kind: 'table'; readonly rows: readonly (readonly string[])[] }

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  const lines = markdown.split('\n')
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const takeWhile = (fits: (next: string) => boolean) => {
      const taken: string[] = []
      while (lines[0] !== undefined && fits(lines[0])) taken.push(lines.shift() ?? '')
      return taken
    }
    if (line.startsWith('```')) {
      blocks.push({ kind: 'code', lines: takeWhile((next) => !next.startsWith('```')) })
      lines.shift()
    } else if (line.startsWith('|')) {
      const [header = '', , ...rows] = [line, ...takeWhile((next) => next.startsWith('|'))]
      blocks.push({ kind: 'table', rows: [header, ...rows].map(cellsOf) })
    } else if (line.startsWith('#')) blocks.push({ kind: 'heading', text: line.replace(/^#+ /, '') })
    else if (line.startsWith('- '))
      blocks.push({
        kind: 'item',
        text: [line.slice(2), ...takeWhile((next) => next.startsWith('  '))].map((part) => part.trim()).join(' '),
      })
    else if (line.trim() !== '')
      blocks.push({
        kind: 'paragraph',
        text: [line, ...takeWhile((next) => next.trim() !== '' && !/^(\||#|```|- )/.test(next))].join(' '),
      })
  }
  return blocks
}

function cellsOf(row: string): string[] {
  return row
    .replace(/^\||\|\s*$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
}

function roff(block: Block, before: Block | undefined): string {
  switch (block.kind) {
    case 'heading':
      return `.SH ${escaped(block.text.toUpperCase())}`
    case 'code':
      return `.PP\n.in +4n\n.EX\n${block.lines.map((line) => guard(escaped(line, '\\-'))).join('\n')}\n.EE\n.in`
    case 'table':
      return table(block.rows)
    case 'item': {
      const [, term, text] = /^(`[^:]*`): (.*)$/s.exec(block.text) ?? []
      if (term !== undefined) return `.TP\n${inline(term)}\n${guard(inline(text ?? ''))}`
      return `.IP \\(bu 2\n${guard(inline(block.text))}`
    }
    case 'paragraph': {
      // What whatis(1) reads: `name \- what it does`.
      const isName = before?.kind === 'heading' && before.text === 'Name'
      return isName ? guard(inline(block.text).replace(': ', ' \\- ')) : `.PP\n${guard(inline(block.text))}`
    }
  }
}

/** From here on a cell needs lines of its own (T{ … T}) and shares what is left of the width. */
const wideCell = 24

function table(rows: readonly (readonly string[])[]): string {
  const [header = [], ...body] = rows
  const isWide = header.map((_, column) => body.some((row) => (row[column] ?? '').length > wideCell))
  const row = (cells: readonly string[]) =>
    header
      .map((_, column) =>
        isWide[column] ? `T{\n${guard(inline(cells[column] ?? ''))}\nT}` : inline(cells[column] ?? ''),
      )
      .join('\t')
  return [
    '.PP',
    '.TS',
    `${header.map((_, column) => (isWide[column] ? 'lbx' : 'lb')).join(' ')}`,
    `${isWide.map((wide) => (wide ? 'lx' : 'l')).join(' ')}.`,
    row(header),
    ...body.map(row),
    '.TE',
  ].join('\n')
}

/** Code and strong words are bold; of a link, its words are left. */
function inline(text: string): string {
  return text
    .split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/)
    .map((part, index) => {
      if (index % 2 === 0) return escaped(part)
      if (part.startsWith('`')) return `\\fB${escaped(part.slice(1, -1), '\\-')}\\fR`
      if (part.startsWith('**')) return `\\fB${escaped(part.slice(2, -2))}\\fR`
      return escaped(part.slice(1, part.indexOf(']')))
    })
    .join('')
}

/** In code, `-` has to stay the character that can be typed. */
function escaped(text: string, hyphen = '-'): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', hyphen)
}

/** A line that begins so would be a command of roff. */
function guard(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line
}
