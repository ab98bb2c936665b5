/* deviation: what lenient validation lets through, by kind; from
 * deviation.def. */
#ifndef COMMON_DEVIATION_H
#define COMMON_DEVIATION_H

enum deviation {
#define DEVIATION(word, sentence) DEVIATION_##word,
#include "deviation.def"
#undef DEVIATION
    DEVIATIONS /* how many */
};

#endif
