import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { debianChangelog } from './changelog.ts'
import { bashCompletion } from './completion.ts'
import { type Arch, nodeArchs } from './control.ts'
import { copyrightFile, type Licensed } from './copyright.ts'
import { hasSymbols, isElf, withoutSymbols } from './elf.ts'
import { manPage } from './man.ts'
import { isLicence, isNeededFile, type NpmPackage, neededPackages } from './prune.ts'

export type StageOptions = {
  /** Our checkout. */
  readonly source: string
  readonly arch: Arch
  readonly version: string
  readonly revision: string
  readonly epochS: number
  /** An empty folder that becomes what the device's `/` gets. */
  readonly stage: string
  /** A folder for what is needed on the way. */
  readonly work: string
}

const lib = 'usr/lib/sightd'
const doc = 'usr/share/doc/sightd'

/** Lays out every file of the package as it will lie on the device. */
export function stageFiles(options: StageOptions): void {
  const { source, arch, version, revision, epochS, stage, work } = options
  const to = (path: string) => {
    mkdirSync(dirname(join(stage, path)), { recursive: true })
    return join(stage, path)
  }
  const write = (path: string, content: string | Buffer) => writeFileSync(to(path), content)
  const copy = (from: string, path: string) => copyFileSync(join(source, from), to(path))
  const read = (path: string) => readFileSync(join(source, path), 'utf8')

  checkNpm()
  compile(source, join(stage, lib, 'dist'))
  write(`${lib}/package.json`, reducedManifest(read('package.json')))
  for (const folder of ['models/ssdlite-mobilenet-v2-coco', 'deploy/demo', 'deploy/camera-shim'])
    cpSync(join(source, folder), to(`${lib}/${folder}`), { recursive: true })
  copy('kernels/preprocess.wasm', `${lib}/kernels/preprocess.wasm`)

  const { node, packages } = installDependencies(source, arch, work)
  copyBinary(join(work, node.folder, 'bin/node'), to(`${lib}/node/bin/node`))
  write(`${lib}/node/LICENSE`, node.licenceText)
  for (const { name, folder } of packages)
    for (const file of filesIn(join(work, folder)).filter((path) => isNeededFile(name, path, nodeArchs[arch])))
      copyBinary(join(work, folder, file), to(`${lib}/${folder}/${file}`))

  copy('deploy/package/sightd.sh', 'usr/bin/sightd')
  copy('deploy/config.yaml', 'etc/sightd/config.yaml')
  copy('systemd/sightd.service', 'usr/lib/systemd/system/sightd.service')
  copy('systemd/sysusers.d/sightd.conf', 'usr/lib/sysusers.d/sightd.conf')
  copy('systemd/tmpfiles.d/sightd.conf', 'usr/lib/tmpfiles.d/sightd.conf')
  copy('deploy/package/debian/lintian-overrides', 'usr/share/lintian/overrides/sightd')

  for (const name of ['configuration', 'mqtt-topics', 'ota']) copy(`docs/${name}.md`, `${doc}/${name}.md`)
  copy('deploy/install.md', `${doc}/install.md`)
  copy('models/README.md', `${doc}/models.md`)
  for (const path of globSync('systemd/sightd.service.d/*', { cwd: source }))
    copy(path, path.replace('systemd/sightd.service.d', `${doc}/examples`))
  for (const path of globSync('deploy/mosquitto/*', { cwd: source }))
    copy(path, path.replace('deploy', `${doc}/examples`))
  write(`${doc}/copyright`, copyrightFile(packages, node))
  write(`${doc}/changelog.gz`, packed(read('CHANGELOG.md')))
  write(`${doc}/changelog.Debian.gz`, packed(debianChangelog(read('CHANGELOG.md'), version, revision, epochS)))
  write('usr/share/man/man1/sightd.1.gz', packed(manPage(read('docs/sightd.md'), version, epochS)))
  const help = (words: readonly string[]) =>
    execFileSync(process.execPath, [join(stage, lib, 'dist/main.js'), ...words, '--help'], { encoding: 'utf8' })
  write('usr/share/bash-completion/completions/sightd', bashCompletion(help))

  settleModes(stage)
}

/** An older one ignores what it doesn't know, and installs for the machine that it runs on, and for musl. */
function checkNpm(): void {
  const npm = (...args: string[]) => execFileSync('npm', args, { encoding: 'utf8' }).trim()
  if (npm('config', 'get', 'libc') === 'undefined')
    throw new Error(
      `npm ${npm('--version')} can't install for another machine (--libc): npx npm@10 run package -- --arch … takes one that can`,
    )
}

function compile(source: string, outDir: string): void {
  const tsc = join(source, 'node_modules/typescript/bin/tsc')
  const project = join(source, 'tsconfig.build.json')
  execFileSync(process.execPath, [tsc, '-p', project, '--outDir', outDir, '--sourceMap', 'false'], { stdio: 'inherit' })
}

/** What the program reads of it: lib/package.ts, and Node for `type`. */
function reducedManifest(text: string): string {
  const { name, version, license, type, dependencies }: Record<string, unknown> = JSON.parse(text)
  return `${JSON.stringify({ name, version, license, type, dependencies }, null, 2)}\n`
}

/** Installs what the lock file says for the architecture into `work`; nothing of it is run. */
function installDependencies(source: string, arch: Arch, work: string): { node: Licensed; packages: Licensed[] } {
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) copyFileSync(join(source, file), join(work, file))
  const platform = ['--os=linux', `--cpu=${nodeArchs[arch]}`, '--libc=glibc']
  execFileSync('npm', ['ci', '--omit=dev', ...platform, '--ignore-scripts', '--prefer-offline', '--loglevel=error'], {
    cwd: work,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const all = neededPackages(work).map((each) => ({ ...each, licenceText: licenceTextOf(work, each) }))
  const isNode = ({ name }: NpmPackage) => name === `node-linux-${nodeArchs[arch]}`
  const node = all.find(isNode)
  if (node === undefined) throw new Error(`npm installed no Node for ${arch}`)
  return { node, packages: all.filter((each) => !each.name.startsWith('node-linux-')) }
}

function licenceTextOf(work: string, { name, folder }: NpmPackage): string {
  const path = filesIn(join(work, folder)).find((file) => !file.includes('/') && isLicence(name, file))
  return path === undefined ? '' : readFileSync(join(work, folder, path), 'utf8')
}

/** Files below a folder, but for those of packages that lie within. */
function filesIn(folder: string): string[] {
  return globSync('**/*', { cwd: folder, exclude: ['node_modules'], withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

function copyBinary(from: string, to: string): void {
  const bytes = readFileSync(from)
  writeFileSync(to, isElf(bytes) && hasSymbols(bytes) ? withoutSymbols(bytes) : bytes)
}

function packed(text: string): Buffer {
  return gzipSync(text, { level: 9 })
}

/** Whatever the machine and its umask made of them. */
function settleModes(stage: string): void {
  const programs = ['usr/bin/sightd', `${lib}/node/bin/node`, `${lib}/deploy/camera-shim/libcamera-vid`]
  for (const path of ['.', ...globSync('**/*', { cwd: stage })])
    chmodSync(join(stage, path), statSync(join(stage, path)).isDirectory() || programs.includes(path) ? 0o755 : 0o644)
}
