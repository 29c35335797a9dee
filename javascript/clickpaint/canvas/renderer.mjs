/** Draws what it is given; keeps nothing but caches. One canvas for the picture, one over it for all that moves. */

import {contextOf} from "../common/context.mjs";

/**
 * A picture of this size that gives what to draw for a scale: a `Pyramid`, or a frame of a clip.
 *
 * @typedef {{width: number, height: number, at(scale: number): CanvasImageSource}} Drawable
 */

const OFFSETS = [[-1, 0], [1, 0], [0, -1], [0, 1]];
const TAU = 2 * Math.PI, TURNS = 32;

function checkers(context) {
    const tile = new OffscreenCanvas(16, 16), ink = contextOf(tile);
    ink.fillStyle = "#c9c9cf";
    ink.fillRect(0, 0, 16, 16);
    ink.fillStyle = "#f1f1f4";
    ink.fillRect(0, 0, 8, 8);
    ink.fillRect(8, 8, 8, 8);
    return context.createPattern(tile, "repeat");
}

/** Diagonal black and white stripes: through an outline they look like marching ants. */
function stripes(context) {
    const tile = new OffscreenCanvas(8, 8), ink = contextOf(tile), pixels = ink.createImageData(8, 8);
    for (let i = 0; i < 64; i++) pixels.data.set(((i % 8) + (i >> 3)) % 8 < 4 ? [255, 255, 255, 255] : [18, 18, 24, 255], 4 * i);
    ink.putImageData(pixels, 0, 0);
    return context.createPattern(tile, "repeat");
}

export class Renderer {
    #scratch = new OffscreenCanvas(1, 1);
    /** The selection's and its shadow's. */
    #outlines = [0, 1].map(() => ({canvas: new OffscreenCanvas(1, 1), of: ""}));
    /** What may change around the selection. */
    #halo = {canvas: new OffscreenCanvas(1, 1), of: ""};
    #ids = new WeakMap();
    #count = 0;

    constructor(pictureCanvas, overlayCanvas, view) {
        this.view = view;
        this.ratio = 1;
        this.canvases = [pictureCanvas, overlayCanvas];
        this.picture = contextOf(pictureCanvas);
        this.overlay = contextOf(overlayCanvas);
        this.checkers = checkers(this.picture);
        this.stripes = stripes(this.overlay);
    }

    resize(width, height, ratio) {
        this.ratio = ratio;
        for (const canvas of [...this.canvases, this.#scratch, ...[...this.#outlines, this.#halo].map((kept) => kept.canvas)]) {
            canvas.width = Math.max(Math.round(width * ratio), 1);
            canvas.height = Math.max(Math.round(height * ratio), 1);
        }
        for (const kept of [...this.#outlines, this.#halo]) kept.of = "";
    }

    /** From here on lengths are CSS pixels. */
    #begin(context) {
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.clearRect(0, 0, context.canvas.width, context.canvas.height);
        context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    }

    /**
     * A picture with the original before a line.
     *
     * @param {Drawable | null} result
     * @param {Drawable | null} original
     * @param {number | null} split the original is seen left of it, in CSS pixels of the screen; null: nowhere, Infinity: alone
     * @param {{x: number, y: number}} offset where the original lies in a result that was expanded, in pixels of the picture
     */
    drawPicture(result, original = null, split = null, offset = {x: 0, y: 0}) {
        const context = this.picture;
        this.#begin(context);
        if (!result) return;
        const {x, y, scale, picture} = this.view;
        const width = picture.width * scale, height = picture.height * scale;
        context.save();
        context.fillStyle = this.checkers;
        context.fillRect(x, y, width, height);
        this.#lay(result);
        if (original && split !== null) {
            context.beginPath();
            context.rect(x, y, Math.min(Math.max(split - x, 0), width), height);
            context.clip();
            context.fillStyle = this.checkers;
            context.fillRect(x, y, width, height);
            this.#lay(original, offset);
        }
        context.restore();
    }

    #lay(pyramid, offset = {x: 0, y: 0}) {
        const {scale} = this.view, {x, y} = this.view.toScreen(offset.x, offset.y);
        this.picture.imageSmoothingEnabled = scale * this.ratio < 2;
        this.picture.imageSmoothingQuality = "medium";
        this.picture.drawImage(pyramid.at(scale * this.ratio), x, y, pyramid.width * scale, pyramid.height * scale);
    }

    /**
     * Everything over the picture.
     *
     * @param {any} scene what there is to draw, as plain data
     * @param {number} phase moves the outline
     */
    drawOverlay(scene, phase) {
        const context = this.overlay;
        this.#begin(context);
        const {colours} = scene;
        if (scene.over) this.#stretch(scene.over.bitmap, scene.over.opacity);
        if (scene.overview) this.#stretch(scene.overview, 0.62);
        if (scene.shadow) {
            if (scene.shadow.taken) this.#tint(scene.shadow.layer, colours.shade, 0.34);
            this.#ants(scene.shadow.layer, phase, this.#outlines[1], scene.shadow.taken ? 1 : 0.6);
        }
        if (scene.layer && scene.band) this.#band(scene.layer, scene.band, colours.tint);
        for (const {layer, colour} of scene.others) this.#tint(layer, colour, 0.42);
        if (scene.layer) {
            if (!scene.resting) this.#tint(scene.layer, colours.tint, 0.42);
            this.#ants(scene.layer, phase, this.#outlines[0], 1);
        }
        if (scene.preview) this.#tint(scene.preview, colours.preview, scene.layer ? 0.3 : 0.36);
        if (scene.box) this.#box(scene.box, colours);
        if (scene.frame) this.#box(scene.frame, colours);
        for (const point of scene.points) this.#point(point, colours);
        scene.draft?.draw?.(context, this.view, colours);
        if (scene.crosshair) this.#crosshair(scene.crosshair);
    }

    #stretch(bitmap, opacity) {
        const {x, y, scale, picture} = this.view;
        this.overlay.globalAlpha = opacity;
        this.overlay.drawImage(bitmap, x, y, picture.width * scale, picture.height * scale);
        this.overlay.globalAlpha = 1;
    }

    /** Where a layer lies, in device pixels, and the part of the stage that it can touch. */
    #place(layer) {
        const k = this.view.scale * this.ratio;
        const x = (this.view.x + layer.box[0] * this.view.scale) * this.ratio, y = (this.view.y + layer.box[1] * this.view.scale) * this.ratio;
        const width = layer.width * k, height = layer.height * k;
        const left = Math.max(Math.floor(x) - 3, 0), top = Math.max(Math.floor(y) - 3, 0);
        const right = Math.min(Math.ceil(x + width) + 3, this.#scratch.width), bottom = Math.min(Math.ceil(y + height) + 3, this.#scratch.height);
        return {x, y, width, height, left, top, w: right - left, h: bottom - top, seen: right > left && bottom > top, crisp: k >= 2};
    }

    #tint(layer, colour, opacity) {
        const at = this.#place(layer);
        if (!at.seen) return;
        const ink = contextOf(this.#scratch);
        ink.clearRect(at.left, at.top, at.w, at.h);
        ink.imageSmoothingEnabled = !at.crisp;
        ink.drawImage(layer.bitmap, at.x, at.y, at.width, at.height);
        ink.globalCompositeOperation = "source-in";
        ink.fillStyle = colour;
        ink.fillRect(at.left, at.top, at.w, at.h);
        ink.globalCompositeOperation = "source-over";
        this.#put(this.#scratch, at, opacity);
    }

    /** The ring around the mask (grown by a pixel, less itself) is kept while view and mask stay; only the stripes move. */
    #ants(layer, phase, outline, opacity) {
        const at = this.#place(layer);
        if (!at.seen) return;
        const ring = contextOf(outline.canvas);
        const key = `${this.#id(layer)} ${at.x} ${at.y} ${at.width}`;
        if (key !== outline.of) {
            outline.of = key;
            ring.clearRect(0, 0, outline.canvas.width, outline.canvas.height);
            ring.imageSmoothingEnabled = !at.crisp;
            const reach = Math.max(1.2 * this.ratio, 1);
            for (const [dx, dy] of OFFSETS) ring.drawImage(layer.bitmap, at.x + dx * reach, at.y + dy * reach, at.width, at.height);
            ring.globalCompositeOperation = "destination-out";
            ring.drawImage(layer.bitmap, at.x, at.y, at.width, at.height);
            ring.globalCompositeOperation = "source-over";
        }
        const ink = contextOf(this.#scratch);
        ink.clearRect(at.left, at.top, at.w, at.h);
        ink.drawImage(outline.canvas, at.left, at.top, at.w, at.h, at.left, at.top, at.w, at.h);
        ink.globalCompositeOperation = "source-in";
        this.stripes.setTransform(new DOMMatrix([this.ratio, 0, 0, this.ratio, phase, 0]));
        ink.fillStyle = this.stripes;
        ink.fillRect(at.left, at.top, at.w, at.h);
        ink.globalCompositeOperation = "source-over";
        this.#put(this.#scratch, at, opacity);
    }

    /** All within `reach` pixels of the picture around a mask: it is drawn again and again around itself, as often as no gap is seen. */
    #band(layer, reach, colour) {
        const {canvas} = this.#halo, {width, height} = canvas, {x, y, width: w, height: h} = this.#place(layer), ink = contextOf(canvas);
        const key = `${this.#id(layer)} ${x} ${y} ${w} ${reach} ${colour}`;
        if (key !== this.#halo.of) {
            this.#halo.of = key;
            ink.clearRect(0, 0, width, height);
            const far = reach * this.view.scale * this.ratio;
            for (const share of [1 / 3, 2 / 3, 1])
                for (let i = 0; i < TURNS; i++)
                    ink.drawImage(layer.bitmap, x + share * far * Math.cos((i / TURNS) * TAU), y + share * far * Math.sin((i / TURNS) * TAU), w, h);
            ink.globalCompositeOperation = "destination-out";
            ink.drawImage(layer.bitmap, x, y, w, h);
            ink.globalCompositeOperation = "source-in";
            ink.fillStyle = colour;
            ink.fillRect(0, 0, width, height);
            ink.globalCompositeOperation = "source-over";
        }
        this.#put(canvas, {left: 0, top: 0, w: width, h: height}, 0.2);
    }

    #put(source, {left, top, w, h}, opacity) {
        const context = this.overlay;
        context.save();
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.globalAlpha = opacity;
        context.drawImage(source, left, top, w, h, left, top, w, h);
        context.restore();
    }

    #id(layer) {
        if (!this.#ids.has(layer)) this.#ids.set(layer, ++this.#count);
        return this.#ids.get(layer);
    }

    #box([left, top, right, bottom], colours) {
        const a = this.view.toScreen(left, top), b = this.view.toScreen(right, bottom);
        outlined(this.overlay, colours.tint, () => this.overlay.rect(a.x, a.y, b.x - a.x, b.y - a.y));
    }

    #point({x, y, label, pending}, colours) {
        const context = this.overlay, at = this.view.toScreen(x, y);
        context.globalAlpha = pending ? 0.7 : 1;
        context.beginPath();
        context.arc(at.x, at.y, 7.5, 0, TAU);
        context.fillStyle = label ? colours.plus : colours.minus;
        context.shadowColor = "rgba(0,0,0,.45)";
        context.shadowBlur = 5;
        context.fill();
        context.shadowBlur = 0;
        context.lineWidth = 2;
        context.strokeStyle = "#fff";
        context.stroke();
        context.beginPath();
        context.moveTo(at.x - 3.2, at.y);
        context.lineTo(at.x + 3.2, at.y);
        if (label) {
            context.moveTo(at.x, at.y - 3.2);
            context.lineTo(at.x, at.y + 3.2);
        }
        context.lineWidth = 1.6;
        context.stroke();
        context.globalAlpha = 1;
    }

    #crosshair({x, y}) {
        const context = this.overlay, at = this.view.toScreen(x + 0.5, y + 0.5);
        outlined(context, "#fff", () => {
            for (const [dx, dy] of OFFSETS) {
                context.moveTo(at.x + 5 * dx, at.y + 5 * dy);
                context.lineTo(at.x + 15 * dx, at.y + 15 * dy);
            }
        });
    }
}

/** A line that is seen on light and on dark. */
export function outlined(context, colour, path, width = 1.6) {
    context.beginPath();
    path();
    context.lineWidth = width + 2;
    context.strokeStyle = "rgba(10, 10, 16, .55)";
    context.stroke();
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
}
