import { globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/lib/package.ts'

/** The rules of docs/ARCHITECTURE.md on who may import what. Files and imports are named from the root: `src/main.ts`, `node:fs`. */

/** A package that is imported in one file only. */
const doors = {
  'onnxruntime-node': 'src/vision/session.ts',
  mqtt: 'src/mqtt/client.ts',
  aedes: 'src/mqtt/embedded-broker.ts',
  sharp: 'src/vision/picture.ts',
  pino: 'src/system/log.ts',
  'prom-client': 'src/system/web.ts',
  yaml: 'src/config/load.ts',
  commander: 'src/cli/program.ts',
  '@tufjs/models': 'src/ota/metadata.ts',
}

const anyPackage = /^[^/]+$|^node:|^@/
const features = ['config', 'vision', 'pipeline', 'mqtt', 'ota', 'system']

/** What the files of a place may import. */
const directions = [
  { from: 'src/core/', mayImport: [/^src\/core\//, /^valibot$/] },
  { from: 'src/lib/', mayImport: [/^src\/(lib|core)\//, /^node:/, /^valibot$/, /^fastest-levenshtein$/] },
  ...features.map((name) => ({
    from: `src/${name}/`,
    mayImport: [new RegExp(`^src/(${name}|core|lib)/`), anyPackage],
  })),
  ...['src/daemon.ts', 'src/updates.ts'].map((from) => ({
    from,
    mayImport: [new RegExp(`^src/(${features.join('|')}|core|lib)/|^src/updates.ts$`), anyPackage],
  })),
  { from: 'src/cli/', mayImport: [/^src\/(?!main\.ts)/, anyPackage] },
]

type Import = { readonly to: string; readonly isStatic: boolean; readonly isTypeOnly: boolean }

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = []
  const add = (node: ts.Node, kind: Omit<Import, 'to'>) => {
    if (!ts.isStringLiteral(node)) throw new Error(`${path}: imports what is known at run time only`)
    const isOurs = node.text.startsWith('.')
    found.push({ to: isOurs ? posix.join(posix.dirname(path), node.text) : node.text, ...kind })
  }
  const visit = (node: ts.Node) => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, {
        isStatic: true,
        isTypeOnly: node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword,
      })
    if (ts.isExportDeclaration(node) && node.moduleSpecifier)
      add(node.moduleSpecifier, { isStatic: true, isTypeOnly: node.isTypeOnly })
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword && node.arguments[0])
      add(node.arguments[0], { isStatic: false, isTypeOnly: false })
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest))
  return found
}

const texts = new Map(
  globSync('src/**/*.ts', { cwd: packageRoot }).map((path) => [path, readFileSync(join(packageRoot, path), 'utf8')]),
)
const imports = new Map([...texts].map(([path, text]) => [path, importsOf(path, text)]))
const filesWhere = (fits: (path: string, text: string) => boolean) =>
  [...texts].filter(([path, text]) => fits(path, text)).map(([path]) => path)
const importersOf = (name: string) => filesWhere((path) => (imports.get(path) ?? []).some(({ to }) => to === name))

/** All that is loaded along with a file, itself included. */
function loadedBy(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen
  seen.add(path)
  for (const { to, isStatic, isTypeOnly } of imports.get(path) ?? []) if (isStatic && !isTypeOnly) loadedBy(to, seen)
  return seen
}

describe('the structure of the sources', () => {
  test.each(Object.entries(doors))('%s is imported in %s only', (name, file) => {
    expect(importersOf(name)).toEqual([file])
  })

  test('node-libcamera is imported in at most one file', () => {
    expect(importersOf('node-libcamera').length).toBeLessThanOrEqual(1)
  })

  test.each(directions)('$from imports only what lies in its direction', ({ from, mayImport }) => {
    const files = filesWhere((path) => path.startsWith(from))
    expect(files).not.toEqual([])
    const wrong = files.flatMap((path) =>
      (imports.get(path) ?? [])
        .filter(({ to }) => !mayImport.some((allowed) => allowed.test(to)))
        .map(({ to }) => `${path} imports ${to}`),
    )
    expect(wrong).toEqual([])
  })

  test('the control process loads its parts, and no inference code with them', () => {
    const loaded = loadedBy('src/daemon.ts')
    expect(loaded).toContain('src/pipeline/supervisor.ts')
    expect(loaded).not.toContain('src/vision/session.ts')
    expect(loaded).not.toContain('onnxruntime-node')
  })

  test('the metrics page costs nothing while it is off', () => {
    expect(loadedBy('src/system/web.ts')).not.toContain('prom-client')
  })

  test('no file is longer than 300 lines', () => {
    expect(filesWhere((_, text) => text.trimEnd().split('\n').length > 300)).toEqual([])
  })

  test('only src/main.ts sets the exit code of the process', () => {
    expect(filesWhere((_, text) => /process\.exitCode\s*=(?!=)/.test(text))).toEqual(['src/main.ts'])
  })
})
