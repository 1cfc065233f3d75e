import { CameraError, type CameraState } from '../core/camera-state.ts'

/**
 * From what a camera program printed to what is wrong and what to do. First match wins. Messages of rpicam-apps and
 * libcamera: rpicam-apps core/rpicam_app.cpp and core/dma_heaps.cpp, libcamera src/libcamera/camera.cpp and
 * pipeline_base.cpp; of ffmpeg: libavutil/error.c and libavformat's http.c and rtsp.c.
 */
type Complaint = { readonly said: RegExp; readonly state: CameraState; readonly means: string; readonly advice: string }

const install = 'install it (Raspberry Pi OS: sudo apt install rpicam-apps-core)'
const cable = 'check the ribbon cable and its direction with the power off, then camera_auto_detect in config.txt'
const group = 'add the user to the group video (sudo usermod -aG video NAME) and restart the service'

const rpicamComplaints: readonly Complaint[] = [
  {
    said: /neither rpicam-\w+ nor libcamera-\w+/,
    state: 'absent',
    means: 'the camera program is not installed',
    advice: install,
  },
  // Before the next: without the heaps no camera can be registered, and then there seem to be none.
  {
    said: /Could not open any dma|dmaHeap|Permission denied|Operation not permitted/i,
    state: 'denied',
    means: 'the camera devices may not be opened',
    advice: group,
  },
  {
    said: /no cameras available|No cameras available/,
    state: 'absent',
    means: 'no camera is connected',
    advice: cable,
  },
  {
    said: /selected camera is not available/,
    state: 'absent',
    means: 'there is no camera with that index',
    advice: 'see sightd camera list, then set camera.index',
  },
  {
    said: /legacy camera stack/,
    state: 'absent',
    means: 'the system is set up for the legacy camera stack',
    advice: 'turn the legacy camera off (sudo raspi-config) and reboot',
  },
  {
    said: /only supports the Raspberry Pi/,
    state: 'absent',
    means: 'this board is no Raspberry Pi, which the camera program needs',
    advice: 'use camera.source v4l2 or url',
  },
  {
    said: /failed to acquire camera|in use by another process|Device or resource busy/,
    state: 'busy',
    means: 'another program uses the camera',
    advice: 'stop it; sightd doctor names it',
  },
  {
    said: /frontend has timed out|Device timeout detected|Dequeue timer/,
    state: 'stalled',
    means: 'the sensor stopped answering',
    advice: `${cable}; if it comes back only after a reboot, the sensor or its power is failing`,
  },
]

const ffmpegComplaints: readonly Complaint[] = [
  {
    said: /401 Unauthorized|403 Forbidden|authorization failed/i,
    state: 'denied',
    means: 'the camera refuses the login',
    advice: 'check camera.username and camera.password_file',
  },
  { said: /Permission denied/, state: 'denied', means: 'it may not be opened', advice: group },
  {
    said: /Device or resource busy/,
    state: 'busy',
    means: 'another program uses the camera',
    advice: 'stop it; sightd doctor names it',
  },
  {
    said: /No such file or directory|No such device|Inappropriate ioctl/,
    state: 'absent',
    means: 'it is not there',
    advice: 'check the path, or plug the camera in',
  },
  {
    said: /Connection refused|No route to host|timed out|Network is unreachable|Failed to resolve|404 Not Found|Server returned/i,
    state: 'absent',
    means: 'it does not answer',
    advice: 'check the address, and whether the camera is on',
  },
]

const maxWords = 300

/** What ended rpicam-vid; `exit` says how, for when its words say nothing. */
export function diagnoseRpicam(words: string, exit: string): CameraError {
  return diagnose(rpicamComplaints, 'camera', words, exit)
}

/** What ended ffmpeg; credentials in its words are blanked out. */
export function diagnoseFfmpeg(target: string, words: string, exit: string): CameraError {
  const plain = words
    // `[tcp @ 0x55c5178c4640] `: another address at each try would make the same trouble look new.
    .replace(/\[[^\]]* @ 0x[0-9a-f]+\] /g, '')
    .replace(/[^\s'"]*@/g, '***@')
    .replace(/\?[^\s'"]*/g, '?***')
  return diagnose(ffmpegComplaints, target, plain, exit)
}

function diagnose(complaints: readonly Complaint[], target: string, words: string, exit: string): CameraError {
  const lines = words
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const complaint = complaints.find(({ said }) => said.test(words))
  if (complaint === undefined) {
    // libstdc++ tells what ended a program in two lines; the second says it.
    const isTelling = (line: string) => /error|fail|could not|invalid|^what\(\):/i.test(line)
    const last = lines.findLast(isTelling) ?? lines.at(-1) ?? exit
    return new CameraError('failed', `${target}: ${last.slice(0, maxWords)}`)
  }
  const quote = lines.find((line) => complaint.said.test(line))
  const said = quote === undefined ? '' : ` (${quote.slice(0, maxWords)})`
  return new CameraError(complaint.state, `${target}: ${complaint.means}${said}`, complaint.advice)
}
