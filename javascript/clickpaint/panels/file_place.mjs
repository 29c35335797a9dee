/** Where files of a kind go: the folder as its owner finds it, and a button that brings one there from this computer. */

import {h} from "../common/dom.mjs";
import {bytes, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {apiOfPage} from "../server/api.mjs";

/** Bytes that go at a time: proxies bound what a request may bring. */
const PIECE = 8 << 20;
const ENDINGS = ".safetensors,.sft,.ckpt,.pt,.pth,.bin";

/**
 * Send a file piece by piece.
 *
 * @param {Pick<import("../server/api.mjs").Api, "sendModelFile">} api
 * @param {string} kind the folder's
 * @param {File} file
 * @param {(done: number) => boolean} told of every piece; false stops it
 * @returns {Promise<boolean>} whether all of it is there
 */
export async function sendFile(api, kind, file, told) {
    for (let offset = 0; offset < file.size || !offset; ) {
        const {bytes: here, complete} = await api.sendModelFile({kind, name: file.name, offset, total: file.size}, file.slice(offset, offset + PIECE));
        if (complete) return true;
        offset = here;
        if (!told(offset)) return false;
    }
    return false;
}

/**
 * @param {string} kind "Stable-diffusion", "ControlNet" and so on
 * @param {{choose?: boolean}} [how] choose: whether a file can be brought there by the page
 */
export function filePlace(kind, {choose = true} = {}) {
    const api = apiOfPage();
    const folder = h("code"), notice = h("p", {role: "status"}), fill = h("div.cp-progress-fill");
    const track = h("div.cp-progress-track", {role: "progressbar", "aria-label": t("progress"), hidden: true}, fill);
    const input = h("input", {type: "file", accept: ENDINGS, hidden: true, "aria-label": t("place.choose")});
    const button = h("button.cp-text", {type: "button", hidden: !choose, onclick: () => (stop ? stop() : input.click())}, t("place.choose"));
    /** @type {(() => void) | null} */
    let stop = null;

    async function bring(/** @type {File} */ file) {
        let going = true;
        stop = () => (going = false);
        button.textContent = t("models.cancel");
        track.hidden = false;
        try {
            const complete = await sendFile(api, kind, file, (done) => {
                fill.style.width = `${Math.round((100 * done) / file.size)}%`;
                notice.textContent = `${file.name} · ${bytes(done)} / ${bytes(file.size)}`;
                return going;
            });
            notice.textContent = complete ? t("downloaded", {title: file.name}) : t("stopped");
            if (complete) document.dispatchEvent(new CustomEvent("clickpaint:models"));
        } catch (error) {
            notice.textContent = [said(error, "message"), said(error, "remedy")].filter(Boolean).join(" ") || t("error.unreachable");
        } finally {
            stop = null;
            track.hidden = true;
            button.textContent = t("place.choose");
        }
    }

    input.addEventListener("change", () => {
        const [file] = input.files ?? [];
        input.value = "";
        if (file) bring(file);
    });
    const element = h("div.cp-place", {hidden: true}, h("span", {}, t("place.folder")), folder, button, input, track, notice);
    const show = ({folders}) => {
        folder.textContent = folders[kind] ?? "";
        element.hidden = !folders[kind];
    };
    api.modelUsage().then(show, () => {}); // without it the place stays hidden
    return element;
}
