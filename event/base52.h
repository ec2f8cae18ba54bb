/* Base 52 of Postfix's long queue ids (src/global/mail_queue.h): digits and consonants. */
#ifndef PW_EVENT_BASE52_H
#define PW_EVENT_BASE52_H

/* Value of each digit plus one; 0 = no digit. A table because each line of a log is asked. */
extern const unsigned char base52_digit[256];

#endif
