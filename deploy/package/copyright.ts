import type { NpmPackage } from './prune.ts'
import { wrap } from './text.ts'

export type Licensed = NpmPackage & {
  /** Text of its licence file; empty if it has none. */
  readonly licenceText: string
}

/** Debian has these on every machine. */
const common: Readonly<Record<string, string>> = {
  'Apache-2.0': 'Apache-2.0',
  'LGPL-3.0-or-later': 'LGPL-3',
}

/** Names of licences in Debian's form, where they differ from SPDX. */
const debianNames: Readonly<Record<string, string>> = { MIT: 'Expat', 'LGPL-3.0-or-later': 'LGPL-3+' }

/** Where more is within than the package's own licence tells. */
const comments: readonly (readonly [RegExp, string])[] = [
  [
    /^@img\/sharp-libvips/,
    'Contains libvips and the libraries that it uses; their licences are listed in README.md of this folder. Sources: https://github.com/lovell/sharp-libvips, at the tag of this version. It is a shared library and may be replaced by another build.',
  ],
  [
    /^onnxruntime/,
    'Copyright (c) Microsoft Corporation. Contains libraries of others; their notices: ThirdPartyNotices.txt at the tag of this version of https://github.com/microsoft/onnxruntime.',
  ],
]

/** The machine-readable copyright file (DEP-5) of all that is in the package. */
export function copyrightFile(packages: readonly Licensed[], node: Licensed): string {
  const own = paragraph({
    Files: '*',
    Copyright: '2026 the authors of sightd',
    License: 'Apache-2.0',
  })
  const model = paragraph({
    Files: 'usr/lib/sightd/models/*',
    Copyright: 'the authors of TensorFlow and of its object detection models',
    License: 'Apache-2.0',
    Comment: 'Where it comes from: manifest.json in its folder, and /usr/share/doc/sightd/models.md.',
  })
  const photos = [
    ['1-chelsea.jpg', 'Stefan van der Walt', 'CC0-1.0'],
    ['3-coffee.jpg', 'Rachel Michetti, Pikolo Espresso Bar', 'CC0-1.0'],
    ['2-astronaut.jpg', 'none, by NASA', 'public-domain'],
  ].map(([file, by, license]) =>
    paragraph({ Files: `usr/lib/sightd/deploy/demo/${file}`, Copyright: by ?? '', License: license ?? '' }),
  )
  const nodeParagraph = paragraph({
    Files: 'usr/lib/sightd/node/*',
    Copyright: holdersOf(node),
    License: debianName(node.licence),
    Comment:
      'Node.js as its project builds it, without symbols. What is built in, and under which licences: LICENSE in this folder.',
  })
  const others = packages.map((each) =>
    paragraph({
      Files: `usr/lib/sightd/${each.folder}/*`,
      Copyright: holdersOf(each),
      License: debianName(each.licence),
      ...commentOn(each.name),
    }),
  )
  return [
    paragraph({
      Format: 'https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
      'Upstream-Name': 'sightd',
      Comment: 'Paths are those on the device. Licence files of what others wrote lie beside it.',
    }),
    own,
    model,
    ...photos,
    nodeParagraph,
    ...others,
    ...licenceTexts([node, ...packages]),
  ].join('\n')
}

function commentOn(name: string): { Comment?: string } {
  const [, text] = comments.find(([pattern]) => pattern.test(name)) ?? []
  return text === undefined ? {} : { Comment: text }
}

function debianName(licence: string): string {
  return licence
    .split(' ')
    .map((word) => (word === 'AND' || word === 'OR' ? word.toLowerCase() : (debianNames[word] ?? word)))
    .join(' ')
}

function holdersOf({ licenceText, author, name }: Licensed): string {
  const lines = licenceText.split('\n').flatMap((line) => {
    const [, holder] = /^\s*copyright (?:\(c\) |© )?((?!holder|notice|owner|\[|license)\S.*)$/i.exec(line) ?? []
    return holder === undefined ? [] : [holder.replace(/\.? All rights reserved\.?$/i, '').trim()]
  })
  const holders = [...new Set(lines)].slice(0, 5)
  return holders.length > 0 ? holders.join('\n') : `the authors of ${name}${author === '' ? '' : `: ${author}`}`
}

/** One paragraph for each licence that a paragraph above names. */
function licenceTexts(packages: readonly Licensed[]): string[] {
  const named = new Set(packages.flatMap(({ licence }) => licence.split(/ (?:AND|OR) /)))
  const texts = [...named].sort().map((licence) => {
    const file = common[licence]
    if (file !== undefined)
      return { licence, text: `On Debian systems the text is in /usr/share/common-licenses/${file}.` }
    const shown = packages.find((each) => each.licence === licence && each.licenceText !== '')
    if (shown === undefined) throw new Error(`no text of the licence ${licence} is at hand`)
    return { licence, text: bareText(shown.licenceText) }
  })
  return [
    ...texts.map(({ licence, text }) => licenceParagraph(debianName(licence), text)),
    licenceParagraph('CC0-1.0', 'On Debian systems the text is in /usr/share/common-licenses/CC0-1.0.'),
    licenceParagraph('public-domain', 'A work of the government of the United States.'),
  ]
}

/** A licence without the lines that name the package or whose it is. */
function bareText(text: string): string {
  const lines = text.split('\n').map((line) => line.trim())
  const start = lines.findIndex((line) => /^(permission|redistribution|# blue oak)/i.test(line))
  const end = lines.findIndex((line, index) => index > start && /^={3,}|^-{5,}/.test(line))
  return lines
    .slice(Math.max(start, 0), end < 0 ? undefined : end)
    .join('\n')
    .trim()
}

function licenceParagraph(name: string, text: string): string {
  return `License: ${name}\n${text
    .split(/\n\s*\n/)
    .map((part) => wrap(part, { first: ' ', next: ' ' }))
    .join('\n .\n')}\n`
}

function paragraph(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([name, value]) => {
      const text = name === 'Comment' ? wrap(value, { first: '', next: ' ' }) : value.split('\n').join('\n ')
      return `${name}: ${text}\n`
    })
    .join('')
}
