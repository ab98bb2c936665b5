/* version: what `ocppd -V` says. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define OCPPD_VERSION "0.2.0"

#endif
