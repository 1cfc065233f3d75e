/** One metric of a page in Prometheus' text format. */
export type Family = {
  readonly type: string
  readonly help: string
  readonly samples: { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]
}

/**
 * Reads a page in Prometheus' text format 0.0.4 (prometheus.io, "Exposition formats"), stricter than a scraper: each
 * metric has HELP, TYPE and at least one sample, in that order and in one piece; there are counters and gauges only.
 */
export function parseExposition(page: string): Map<string, Family> {
  if (!page.endsWith('\n')) throw new Error('the last line does not end')
  const families = new Map<string, Family>()
  let name = ''
  let help: string | undefined
  for (const line of page.slice(0, -1).split('\n')) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    const [, kind, of = '', text = ''] = comment ?? []
    if (kind === 'HELP') {
      if (families.has(of)) throw new Error(`${of} comes twice`)
      if (name !== '' && families.get(name)?.samples.length === 0) throw new Error(`${name} has no sample`)
      if (/\\(?![\\n])/.test(text)) throw new Error(`wrong escape: ${line}`)
      name = of
      help = text
    } else if (kind === 'TYPE') {
      if (of !== name || help === undefined || families.has(name)) throw new Error(`TYPE without HELP before: ${line}`)
      if (!/^(counter|gauge)$/.test(text)) throw new Error(`no such type: ${line}`)
      families.set(name, { type: text, help, samples: [] })
    } else {
      const sample = parseSample(line)
      const family = families.get(name)
      if (family === undefined || sample.name !== name) throw new Error(`sample outside its metric: ${line}`)
      family.samples.push(sample)
    }
  }
  if (families.get(name)?.samples.length === 0) throw new Error(`${name} has no sample`)
  return families
}

function parseSample(line: string): { name: string; labels: Record<string, string>; value: number } {
  const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"'
  const match = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(${label}(?:,${label})*)\\})? (\\S+)$`).exec(line)
  if (match === null) throw new Error(`not a sample: ${line}`)
  const [, name = '', labels = '', number = ''] = match
  if (!/^([+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN)$/.test(number)) throw new Error(`not a number: ${line}`)
  const pairs = [...labels.matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)]
  return {
    name,
    labels: Object.fromEntries(
      pairs.map(([, key, text = '']) => [
        key,
        text.replaceAll(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped)),
      ]),
    ),
    value: Number(number.replace('Inf', 'Infinity')),
  }
}
