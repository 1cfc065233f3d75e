import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { findProgram } from '../support/mosquitto.ts'
import { type Arch, archs, packagePath, runPackager } from './packages.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the packages are; empty where they can't be built. */
    readonly packages: Partial<Record<Arch, string>>
  }
}

/**
 * Builds both packages once for all tests. With SIGHTD_PACKAGES=DIR, those that are there already are taken: for whoever
 * changes a test.
 */
export default async function setup(project: TestProject): Promise<() => void> {
  const given = process.env['SIGHTD_PACKAGES']
  const folder = given === undefined ? mkdtempSync(join(tmpdir(), 'sightd-packages-')) : resolve(given)
  if (findProgram('dpkg-deb') === undefined || findProgram('npm') === undefined) project.provide('packages', {})
  else {
    const missing = archs.filter((arch) => globSync(packagePath(folder, arch)).length === 0)
    await Promise.all(missing.map((arch) => runPackager(arch, folder)))
    project.provide('packages', { arm64: packagePath(folder, 'arm64'), amd64: packagePath(folder, 'amd64') })
  }
  return () => {
    if (given === undefined) rmSync(folder, { recursive: true, force: true })
  }
}
