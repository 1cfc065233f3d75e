import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'

export type NpmPackage = {
  /** From the folder that holds node_modules: `node_modules/mqtt`. */
  readonly folder: string
  readonly name: string
  readonly version: string
  readonly licence: string
  readonly author: string
}

type Manifest = {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly author?: string | { readonly name?: string }
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Only its install script, which we never run, uses these. */
const installOnly: Readonly<Record<string, readonly string[]>> = { 'onnxruntime-node': ['adm-zip', 'global-agent'] }

/** Folders of no use to a program that runs, when they lie directly in a package. */
const idleFolders = new Set(
  'test tests __tests__ example examples doc docs bench benchmark benchmarks script scripts man include share'.split(
    ' ',
  ),
)

/** Copies of the package for browsers. */
const browserFolders: Readonly<Record<string, readonly string[]>> = {
  mqtt: ['dist', 'help'],
  bintrees: ['dist'],
  yaml: ['browser'],
}

/**
 * The packages in `root`/node_modules that ours needs to run, sorted. npm installs more than that: peers that are optional
 * (typescript), typings that someone calls a dependency, and what only install scripts use.
 */
export function neededPackages(root: string): NpmPackage[] {
  const found = new Map<string, NpmPackage>()
  const visit = (folder: string) => {
    const { name, dependencies = {}, optionalDependencies = {} } = manifestOf(folder)
    for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies }).sort()) {
      if (dependency.startsWith('@types/') || installOnly[name]?.includes(dependency)) continue
      const path = folderOf(dependency, folder, root)
      if (path === undefined) {
        if (dependency in optionalDependencies) continue
        throw new Error(`${relative(root, folder)}: its dependency ${dependency} is not installed`)
      }
      const key = relative(root, path)
      if (found.has(key)) continue
      const { version, license = 'unknown', author, ...rest } = manifestOf(path)
      const by = typeof author === 'string' ? author : (author?.name ?? '')
      found.set(key, { folder: key, name: rest.name, version, licence: license, author: by })
      visit(path)
    }
  }
  visit(root)
  return [...found.values()].sort((a, b) => (a.folder < b.folder ? -1 : 1))
}

function manifestOf(folder: string): Manifest {
  const manifest: Manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return manifest
}

/** Where Node would find a package that a file in `from` asks for. */
function folderOf(name: string, from: string, root: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name)
    if (existsSync(path)) return path
    if (folder === root) return undefined
  }
}

/** Whether a device needs a file of a package, by its path in there. Licences stay with what they are for. */
export function isNeededFile(packageName: string, path: string, nodeArch: string): boolean {
  const file = posix.basename(path)
  const [top = ''] = path.split('/')
  if (isLicence(packageName, path)) return true
  if (path.split('/').some((part) => part.startsWith('.')) || file === 'tsconfig.json') return false
  if (top !== path && (idleFolders.has(top) || browserFolders[packageName]?.includes(top))) return false
  if (packageName === 'onnxruntime-node' && top === 'bin' && !path.includes(`/linux/${nodeArch}/`)) return false
  return /\.([cm]?js|json|node|so(\.\d+)*)$/.test(file)
}

/** sharp's libvips has its list of licences in its README. */
export function isLicence(packageName: string, path: string): boolean {
  return (
    /^(licen[cs]e|copying|notice|copyright|third.?party)/i.test(posix.basename(path)) ||
    (packageName.startsWith('@img/sharp-libvips') && path === 'README.md')
  )
}
