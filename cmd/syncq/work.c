int syncq_work(char **o);
int syncq_work(char **o)
{
    (void)o;
    return 0;
}
