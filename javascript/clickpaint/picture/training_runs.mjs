/** Trainings: the one that is to be, and the one that goes on or was the last, as the server has it. */

/**
 * @typedef {object} Wish what a training is to be
 * @property {string} dataset
 * @property {string} name of the result
 * @property {string} quality "quick", "good" or "best"
 * @property {string} kind
 * @property {Record<string, any>} settings that are said besides, by name
 */

const REMEMBERED = "clickpaint.training";

/** Events: "change". */
export class Trainings extends EventTarget {
    /** Kept by the browser. @type {Wish} */
    wish = {dataset: "", name: "", quality: "good", kind: "lora", settings: {}};
    /** What the server answers of it; see its `TrainingAnswer`. @type {any} */
    last = null;
    /** Of every step. @type {number[]} */
    losses = [];
    /** See the server's `ForecastAnswer`. @type {any} */
    forecast = null;
    /** Whether the server is asked to begin, to change or to look ahead. */
    busy = false;
    /** Why that was refused. @type {any} */
    failure = null;
    /** @type {AbortController | null} */
    #following = null;
    #drawn = -1;
    #drawing = false;

    /**
     * @param {Pick<import("./workbench.mjs").Workbench, "api">} workbench
     * @param {Storage | null} storage of the browser
     */
    constructor({api}, storage) {
        super();
        this.api = api;
        this.storage = storage;
        try {
            this.wish = {...this.wish, ...JSON.parse(storage?.getItem(REMEMBERED) ?? "{}")};
        } catch {
            // of another version, or of somebody else
        }
    }

    /** @param {Partial<Wish>} change */
    want(change) {
        this.wish = {...this.wish, ...change};
        this.storage?.setItem(REMEMBERED, JSON.stringify(this.wish));
        this.forecast = null;
        this.#changed();
    }

    /** Whether one goes on, or waits. */
    get active() {
        return this.last?.state === "running" || this.last?.state === "waiting";
    }

    /** Ask for the last one. */
    load() {
        return this.#asking(async () => {
            const all = await this.api.request("GET", "trainings");
            if (all.length) this.#follow(all.at(-1));
        });
    }

    /** Whatever a kind can be told, with what its quality chooses. @returns {Promise<any[]>} */
    settings() {
        const {kind, quality} = this.wish;
        return this.api.request("GET", "trainings/settings", {query: {kind, quality}});
    }

    /** How long it would take, and how much memory. */
    look() {
        this.forecast = null;
        return this.#asking(async () => (this.forecast = await this.api.request("POST", "trainings/forecast", {body: this.wish})));
    }

    /** @param {boolean} [restart] throw away what an earlier one of this name has left */
    start(restart = false) {
        return this.#asking(async () => this.#follow(await this.api.request("POST", "trainings", {body: {...this.wish, restart}})));
    }

    pause() {
        return this.#tell("pause");
    }

    resume() {
        return this.#tell("resume");
    }

    stop() {
        return this.#tell("stop");
    }

    /** A sample's picture. @param {string} address */
    sample(address) {
        return this.api.request("GET", address, {blob: true});
    }

    #tell(what) {
        return this.#asking(async () => this.#follow(await this.api.request("POST", `trainings/${this.last.id}/${what}`)));
    }

    /** @param {() => Promise<unknown>} work */
    async #asking(work) {
        this.busy = true;
        this.failure = null;
        this.#changed();
        try {
            await work();
        } catch (error) {
            this.failure = error;
        } finally {
            this.busy = false;
            this.#changed();
        }
    }

    /** @param {any} training */
    #follow(training) {
        const another = training.id !== this.last?.id, over = !this.active;
        this.last = training;
        if (another) this.losses = [];
        if (another || over) this.#drawn = -1;
        this.#draw();
        if (!this.active || (this.#following && !another && !over)) return;
        this.#following?.abort();
        void this.#hear(training.id, (this.#following = new AbortController()));
    }

    async #hear(id, following) {
        try {
            for await (const [, told] of this.api.stream(`trainings/${id}/events`, null, following.signal)) {
                this.last = told;
                this.#draw();
                this.#changed();
            }
        } catch (error) {
            if (!following.signal.aborted) this.failure = error;
        }
        if (this.#following === following) this.#following = null;
        this.#changed();
    }

    /** Get the curve where it has grown by so much that it shows. */
    async #draw() {
        const {id, step} = this.last, grown = step - this.#drawn;
        if (this.#drawing || grown === 0 || (this.active && grown < this.#drawn / 50)) return;
        this.#drawing = true;
        const {losses} = await this.api.request("GET", `trainings/${id}/curve`).catch(() => ({losses: this.losses}));
        this.#drawing = false;
        this.#drawn = step;
        if (id !== this.last.id) return;
        this.losses = losses;
        this.#changed();
        if (this.last.step !== step) this.#draw();
    }

    #changed() {
        this.dispatchEvent(new CustomEvent("change"));
    }
}
