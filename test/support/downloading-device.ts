import { downloadBlob } from '../../src/ota/download.ts'
import { openTransport } from '../../src/ota/transport.ts'

/** `<url> <folder> <length> <sha256> [bytes]`: a device that downloads one file, and is killed when it has so much of it. */
const [url = '', folder = '', length, sha256 = '', killAt] = process.argv.slice(2)

await downloadBlob(
  { path: 'model.onnx', length: Number(length), sha256 },
  {
    transports: [openTransport(url)],
    folder,
    signal: new AbortController().signal,
    onProgress: ({ bytes }) => {
      // By itself: until another process has heard of it and acted, a busy machine moves some more.
      if (bytes >= Number(killAt)) process.kill(process.pid, 'SIGKILL')
    },
    progressEveryMs: 0,
  },
)
