/** The frames of a clip that are at hand, as pictures to be drawn. */

/** Bytes of frames that are kept. */
const ROOM = 192e6;
/** Widths are asked for in steps, so that a little zooming asks for the same. */
const STEP = 256;

/** A frame, maybe in fewer pixels than it has: what draws it asks for its own size. */
export class FramePicture {
    /**
     * @param {CanvasImageSource} source
     * @param {{width: number, height: number}} size of the whole frame, in pixels
     * @param {number} [resolution] how many pixels of the source stand for one of the frame's
     */
    constructor(source, {width, height}, resolution = 1) {
        this.source = source;
        this.width = width;
        this.height = height;
        this.resolution = resolution;
    }

    at() {
        return this.source;
    }
}

/**
 * The width in which a frame is asked for, so that it is as sharp as it is seen; null for its own.
 *
 * @param {number} width its own
 * @param {number} nearness device pixels for one of the frame's
 */
export function widthFor(width, nearness) {
    const seen = Math.ceil((width * Math.min(nearness, 1)) / STEP) * STEP;
    return seen < width ? seen : null;
}

export class ClipFrames {
    /** By version and number, the one used last at the end. @type {Map<string, FramePicture>} */
    #kept = new Map();
    #bytes = 0;

    /**
     * @param {import("../server/videos.mjs").Videos} videos
     * @param {() => number} nearness see `widthFor`
     */
    constructor(videos, nearness) {
        this.videos = videos;
        this.nearness = nearness;
    }

    /** One that is at hand, in whatever size; null for none. */
    known(version, number) {
        return this.#kept.get(`${version} ${number}`) ?? null;
    }

    /** Whether a picture shows as much as can be seen. @param {FramePicture} picture */
    sharp(picture) {
        return picture.resolution >= 1 || picture.resolution * 1.1 >= this.nearness();
    }

    /**
     * @param {import("../server/videos.mjs").VideoAnswer} clip
     * @param {number} version
     * @param {number} number
     * @returns {Promise<FramePicture>}
     */
    async get(clip, version, number) {
        const key = `${version} ${number}`, known = this.#kept.get(key);
        if (known && this.sharp(known)) return this.#keep(key, known);
        const width = widthFor(clip.width, this.nearness());
        const bitmap = await createImageBitmap(await this.videos.frame(clip.id, number, {version, width}));
        return this.#keep(key, new FramePicture(bitmap, clip, bitmap.width / clip.width));
    }

    #keep(key, picture) {
        const before = this.#kept.get(key);
        if (before !== picture) this.#bytes += nbytes(picture) - (before ? nbytes(before) : 0);
        this.#kept.delete(key);
        this.#kept.set(key, picture);
        for (const [other, old] of this.#kept) {
            if (this.#bytes <= ROOM || other === key) break;
            this.#kept.delete(other); // not closed: it may be the one that is shown
            this.#bytes -= nbytes(old);
        }
        return picture;
    }

    forget() {
        this.#kept.clear();
        this.#bytes = 0;
    }
}

/** @param {FramePicture} picture */
const nbytes = ({source}) => 4 * /** @type {ImageBitmap} */ (source).width * /** @type {ImageBitmap} */ (source).height;
