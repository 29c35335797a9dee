/** Every sentence of the page, by what it is about. `{name}` stands for a value. Labels of the Gradio parts are in localizations/. */

import {en as canvas, zh_CN as canvas_zh_CN} from "./sentences_canvas.mjs";
import {en as words, zh_CN as words_zh_CN} from "./sentences_describe.mjs";
import {en as hands, zh_CN as hands_zh_CN} from "./sentences_hands.mjs";
import {en as history, zh_CN as history_zh_CN} from "./sentences_history.mjs";
import {en as learning, zh_CN as learning_zh_CN} from "./sentences_learning.mjs";
import {en as maps, zh_CN as maps_zh_CN} from "./sentences_maps.mjs";
import {en as models, zh_CN as models_zh_CN} from "./sentences_models.mjs";
import {en as painting, zh_CN as painting_zh_CN} from "./sentences_painting.mjs";
import {en as pictures, zh_CN as pictures_zh_CN} from "./sentences_pictures.mjs";
import {en as progress, zh_CN as progress_zh_CN} from "./sentences_progress.mjs";
import {en as settings, zh_CN as settings_zh_CN} from "./sentences_settings.mjs";
import {en as steering, zh_CN as steering_zh_CN} from "./sentences_steering.mjs";
import {en as training, zh_CN as training_zh_CN} from "./sentences_training.mjs";
import {en as video, zh_CN as video_zh_CN} from "./sentences_video.mjs";
import {en as welcome, zh_CN as welcome_zh_CN} from "./sentences_welcome.mjs";
import {en as edits, zh_CN as edits_zh_CN} from "./sentences_words.mjs";

export const en = {
    ...canvas,
    ...words,
    ...hands,
    ...history,
    ...learning,
    ...maps,
    ...models,
    ...painting,
    ...pictures,
    ...progress,
    ...settings,
    ...steering,
    ...training,
    ...video,
    ...welcome,
    ...edits,
};

export const zh_CN = {
    ...canvas_zh_CN,
    ...words_zh_CN,
    ...hands_zh_CN,
    ...history_zh_CN,
    ...learning_zh_CN,
    ...maps_zh_CN,
    ...models_zh_CN,
    ...painting_zh_CN,
    ...pictures_zh_CN,
    ...progress_zh_CN,
    ...settings_zh_CN,
    ...steering_zh_CN,
    ...training_zh_CN,
    ...video_zh_CN,
    ...welcome_zh_CN,
    ...edits_zh_CN,
};
