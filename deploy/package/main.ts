import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Arch, nodeArchs } from './control.ts'
import { buildDeb } from './deb.ts'
import { stageFiles } from './stage.ts'

const usage = `Usage: npm run package -- --arch arm64|amd64 [--out DIR] [--revision N]

Builds sightd_VERSION-N_ARCH.deb in DIR (dist): the same bytes from the same commit, on any machine with npm and dpkg-deb.
SOURCE_DATE_EPOCH, if set, is the time that it bears instead of the last commit's.`

const source = fileURLToPath(new URL('../..', import.meta.url))

const { values } = parseArgs({
  options: {
    arch: { type: 'string' },
    out: { type: 'string', default: join(source, 'dist') },
    revision: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(`${usage}\n`)
else if (!isArch(values.arch) || !/^[0-9]+$/.test(values.revision)) {
  process.stderr.write(`${usage}\n`)
  process.exitCode = 2
} else build(values.arch, resolve(values.out), values.revision)

function isArch(text: string | undefined): text is Arch {
  return text !== undefined && Object.keys(nodeArchs).includes(text)
}

function build(arch: Arch, folder: string, revision: string): void {
  const { version }: { version: string } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
  const epochS = Number(process.env['SOURCE_DATE_EPOCH'] ?? lastCommitS())
  const work = mkdtempSync(join(tmpdir(), 'sightd-package-'))
  try {
    const [stage, npm] = [join(work, 'stage'), join(work, 'npm')]
    for (const each of [stage, npm, folder]) mkdirSync(each, { recursive: true })
    stageFiles({ source, arch, version, revision, epochS, stage, work: npm })
    const out = join(folder, `sightd_${version}-${revision}_${arch}.deb`)
    // Whoever finds a file of that name finds all of it.
    const partial = `${out}.partial`
    const installedBytes = buildDeb(stage, partial, { source, arch, version: `${version}-${revision}`, epochS })
    renameSync(partial, out)
    const digest = createHash('sha256').update(readFileSync(out)).digest('hex')
    process.stdout.write(`${out}\n${megabytes(statSync(out).size)} MB, installed ${megabytes(installedBytes)} MB\n`)
    process.stdout.write(`sha256 ${digest}\n`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function lastCommitS(): string {
  return execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: source, encoding: 'utf8' }).trim()
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
