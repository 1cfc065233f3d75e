import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot, packageVersions } from '../../../src/lib/package.ts'

const versionIn = (path: string): unknown => JSON.parse(readFileSync(join(packageRoot, path), 'utf8')).version

test('the root of the package holds what the daemon looks for in it', () => {
  expect(['package.json', 'models', 'deploy'].filter((name) => !existsSync(join(packageRoot, name)))).toEqual([])
})

test('the versions are our own and that of ONNX Runtime as it is installed', () => {
  expect(packageVersions()).toEqual({
    own: versionIn('package.json'),
    ort: versionIn('node_modules/onnxruntime-node/package.json'),
  })
})
