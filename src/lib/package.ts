import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json, models and deploy; the same distance away from src/lib and dist/lib. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url))

/** Versions from package.json: our own, and that of a dependency. */
export function packageVersions(): { own: string; ort: string } {
  const { version, dependencies }: { version: string; dependencies: { 'onnxruntime-node': string } } = JSON.parse(
    readFileSync(join(packageRoot, 'package.json'), 'utf8'),
  )
  return { own: version, ort: dependencies['onnxruntime-node'] }
}
