/** <clickpaint-maps>: control maps of the picture: made, looked at, put to use. It works on the page's canvas. */

import {h, Listeners} from "./dom.mjs";
import {checkbox, choice, valuesOf} from "./fields.mjs";
import {t} from "./i18n.mjs";
import {LayerForm, mapBody, preferred} from "./layers.mjs";
import {MapView} from "./mapped.mjs";

const FIRST = "canny", SECOND = "lineart_standard";
const BLENDS = {lighten: "maps.lighten", average: "maps.average", add: "maps.add"};
const BACKGROUNDS = {black: "maps.black", kept: "maps.kept"};

export class ClickpaintMaps extends HTMLElement {
    #listeners = new Listeners();
    #loading = null;
    #making = false;
    #again = false;

    connectedCallback() {
        this.classList.add("cp");
        this.#listeners.on(document, "clickpaint:ready", () => this.#attach());
        this.#attach();
    }

    disconnectedCallback() {
        this.#listeners.off();
        this.editor = null;
    }

    /** The canvas may come before or after this panel. */
    #attach() {
        const canvas = document.querySelector("clickpaint-canvas");
        if (!canvas?.editor || canvas.editor === this.editor) return;
        Object.assign(this, {canvas, editor: canvas.editor});
        const {editor, downloads} = canvas;
        this.view ??= new MapView(this);
        this.#listeners.on(editor, "change", () => this.#update());
        this.#listeners.on(editor, "opened", () => this.view.forget());
        this.#listeners.on(downloads, "models", () => this.#loading && this.#refresh());
        this.#listeners.on(downloads, "tasks", () => this.layers?.forEach((layer) => layer.update()));
        this.#listeners.observe(new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#load()), this);
    }

    #load() {
        return (this.#loading ??= this.#ask());
    }

    async #ask() {
        this.replaceChildren(h("p", {}, t("busy.timeline")));
        try {
            this.#build(await this.editor.api.preprocessors());
        } catch (error) {
            this.#loading = null;
            this.replaceChildren(h("p", {}, error.message || t("error.unreachable")));
        }
    }

    async #refresh() {
        try {
            const {preprocessors} = await this.editor.api.preprocessors();
            this.layers?.forEach((layer) => layer.offer(preprocessors));
            this.#update();
        } catch (error) {
            this.editor.emit("error", error);
        }
    }

    #build({preprocessors, types}) {
        const first = (name) => preprocessors.find((one) => one.name === name && one.available)?.name ?? preferred(preprocessors).name;
        const layer = (name, title) => new LayerForm(this.canvas, {list: preprocessors, types, first: first(name)}, title);
        this.layers = [layer(FIRST), layer(SECOND, t("maps.second"))];
        const listed = (table) => Object.entries(table).map(([value, key]) => [value, t(key)]);
        this.around = choice(t("maps.around"), "background", listed(BACKGROUNDS));
        this.blend = choice(t("maps.blend"), "blend", listed(BLENDS));
        this.switches = h("div.cp-switches", {}, checkbox(t("maps.pixel_perfect"), "pixel_perfect"), checkbox(t("maps.object_only"), "object_only"), this.around,
            checkbox(t("maps.two"), "two"));
        this.button = h("button.cp-make", {type: "button", onclick: () => this.make()}, t("maps.make"));
        this.form = h("div.cp-form", {role: "group", "aria-label": t("maps")}, this.layers[0].element, this.switches, this.layers[1].element, this.blend, this.button);
        this.form.addEventListener("change", (event) => this.#changed(event.target));
        this.form.addEventListener("clickpaint:chosen", () => this.#update());
        this.replaceChildren(this.form, this.view.element);
        this.#update();
    }

    /** A slider was let go or a switch thrown: a map that is seen follows. Other preprocessors may be slow, and are started by the button. */
    #changed(field) {
        this.#update();
        if (this.view.made && !["type", "preprocessor"].includes(field.name)) this.make();
    }

    #update() {
        if (!this.layers) return;
        const {two, object_only, pixel_perfect} = valuesOf(this.switches), used = this.#used();
        this.layers[1].element.hidden = this.blend.hidden = !two;
        this.around.hidden = !object_only;
        for (const layer of this.layers) {
            layer.showWeight(two);
            layer.setPixelPerfect(pixel_perfect);
        }
        this.button.disabled = !this.editor.ready || used.some((layer) => !layer.info.available);
        this.view.update(used[0].info);
    }

    #used() {
        return valuesOf(this.switches).two ? this.layers : this.layers.slice(0, 1);
    }

    body() {
        return mapBody(this.#used().map((layer) => layer.value()), {...valuesOf(this.switches), ...valuesOf(this.blend)});
    }

    /** Make the map that is asked for; asked for once more meanwhile, once more. */
    async make() {
        this.#again = true;
        if (this.#making) return;
        this.#making = true;
        try {
            while (this.#again && this.editor.ready) {
                this.#again = false;
                await this.#make(this.body(), this.#used());
            }
        } finally {
            this.#making = false;
        }
    }

    async #make(body, used) {
        const {editor} = this, {info} = used[0];
        const title = used.map((layer) => layer.info.label).join(" + ");
        await this.show({body, info, title}, () => editor.api.makeMap(editor.id, body));
    }

    /** Show the map that `ask` resolves to; `source`: {body, info, title}, what makes it. */
    async show(source, ask) {
        const {editor} = this;
        const found = await editor.beside("control", async () => {
            const {id} = editor, {version} = editor.state, made = await ask();
            const picture = await editor.api.map(id, made.map);
            return {...source, ...made, id, version, picture, bitmap: await createImageBitmap(picture)};
        });
        if (found && found.id === editor.state.workspace?.id) this.view.show(found);
        else found?.bitmap.close();
    }
}
