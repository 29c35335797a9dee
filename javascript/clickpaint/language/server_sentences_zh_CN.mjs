/** The server's sentences in Simplified Chinese, by their templates: a file for each room of the package. */

import {zh_CN as api} from "./server_zh_CN/api_zh_CN.mjs";
import {zh_CN as caption} from "./server_zh_CN/caption_zh_CN.mjs";
import {zh_CN as control} from "./server_zh_CN/control_zh_CN.mjs";
import {zh_CN as erase} from "./server_zh_CN/erase_zh_CN.mjs";
import {zh_CN as hosts} from "./server_zh_CN/hosts_zh_CN.mjs";
import {zh_CN as image} from "./server_zh_CN/image_zh_CN.mjs";
import {zh_CN as paint} from "./server_zh_CN/paint_zh_CN.mjs";
import {zh_CN as program} from "./server_zh_CN/program_zh_CN.mjs";
import {zh_CN as segment} from "./server_zh_CN/segment_zh_CN.mjs";
import {zh_CN as session} from "./server_zh_CN/session_zh_CN.mjs";
import {zh_CN as studio} from "./server_zh_CN/studio_zh_CN.mjs";
import {zh_CN as train} from "./server_zh_CN/train_zh_CN.mjs";
import {zh_CN as video} from "./server_zh_CN/video_zh_CN.mjs";
import {zh_CN as weights} from "./server_zh_CN/weights_zh_CN.mjs";

export const zh_CN = {...api, ...caption, ...control, ...erase, ...hosts, ...image, ...paint, ...program, ...segment, ...session, ...studio, ...train, ...video, ...weights};
