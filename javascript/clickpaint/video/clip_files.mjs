/** Which files are clips: videos by their type or name, pictures by whether they move. */

const VIDEO = /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|m2ts|mts|ts|wmv|flv|ogv|3gp)$/i;
const MAY_MOVE = /\.(gif|webp|a?png)$/i;
/** Bytes at the beginning of a file in which it says whether it moves; a GIF says so where its second picture begins. */
const HEAD = 1 << 16, MOST = 1 << 24;

/** What a file dialog offers besides pictures. */
export const CLIPS = "video/*,.mkv,.mov,.m4v,.avi,.m2ts,.mts,.apng";

/** Whether a file is a video by what it is called. @param {{name?: string, type?: string}} file */
export function isVideo({name = "", type = ""}) {
    return type.startsWith("video/") || VIDEO.test(name);
}

/** Whether a file is a video or a picture that moves. @param {Blob & {name?: string}} file */
export async function isClip(file) {
    if (isVideo(file)) return true;
    const kind = `${file.type} ${file.name ?? ""}`;
    if (!/gif|webp|png/.test(file.type) && !MAY_MOVE.test(file.name ?? "")) return false;
    const head = await bytesOf(file, HEAD);
    if (moves(head)) return true;
    return /gif/i.test(kind) && file.size > HEAD && moves(await bytesOf(file, MOST));
}

async function bytesOf(file, most) {
    return new Uint8Array(await file.slice(0, most).arrayBuffer());
}

/** Whether the beginning of a GIF, WebP or PNG says that there is more than one picture. @param {Uint8Array} bytes */
export function moves(bytes) {
    const text = (from, count) => String.fromCharCode(...bytes.subarray(from, from + count));
    if (text(0, 3) === "GIF") return pictures(bytes) > 1;
    if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") return text(12, 4) === "VP8X" && (bytes[20] & 2) !== 0;
    return text(1, 3) === "PNG" && animated(bytes, text);
}

/** A PNG that moves says so before its first picture's data. */
function animated(bytes, text) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
        const kind = text(at + 4, 4);
        if (kind === "acTL") return view.getUint32(at + 8) > 1;
        if (kind === "IDAT") return false;
    }
    return false;
}

/** The number of pictures in a GIF, at most two are counted. */
function pictures(bytes) {
    const table = (/** @type {number} */ flags) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
    let at = 13 + table(bytes[10]), count = 0;
    const blocks = () => {
        while (bytes[at]) at += bytes[at] + 1;
        at++;
    };
    while (at < bytes.length && count < 2) {
        if (bytes[at] === 0x2c) {
            count++;
            at += 10 + table(bytes[at + 9]) + 1;
            blocks();
        } else if (bytes[at] === 0x21) {
            at += 2;
            blocks();
        } else break;
    }
    return count;
}
