/** What the server says when it cannot do what was asked. */

/** What went wrong, in the server's English; `said` of language/server_sentences.mjs translates it. */
export class ApiError extends Error {
    /**
     * @param {number} status HTTP's; 0 where the server was not asked or did not answer
     * @param {import("./answers.mjs").Problem} problem
     */
    constructor(status, {error = "", message = "", remedy = "", code = undefined, remedy_code = undefined, data = {}} = {}) {
        super(message);
        this.status = status;
        this.kind = error;
        this.remedy = remedy;
        this.code = code;
        this.remedy_code = remedy_code;
        this.data = data;
    }
}

/** What a response that failed says. @param {Response} response @returns {Promise<import("./answers.mjs").Problem>} */
export async function problem(response) {
    try {
        const body = await response.json();
        if (body.message) return body;
        const detail = body.detail ?? body.error;
        return {message: typeof detail === "string" ? detail : ""};
    } catch {
        return {};
    }
}
